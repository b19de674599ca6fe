"""The REST API of readers and lending: one module for each kind of thing."""

from rest_framework.views import APIView

from circulation.api import (
    account,
    accounts,
    books,
    borrowings,
    holds,
    loans,
    passwords,
    tokens,
)

ROUTES: tuple[tuple[str, type[APIView], str], ...] = (
    *tokens.ROUTES,
    *accounts.ROUTES,
    *passwords.ROUTES,
    *books.ROUTES,
    *account.ROUTES,
    *borrowings.ROUTES,
    *holds.ROUTES,
    *loans.ROUTES,
)
