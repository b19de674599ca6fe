"""The admin pages of lending, and what lending adds to the pages of books, copies and charges."""

from circulation.admin import (
    books,
    charges,
    holds,
    identities,
    imports,
    integration_keys,
    loans,
    payments,
    readers,
    rules,
)

__all__ = [
    "books",
    "charges",
    "holds",
    "identities",
    "imports",
    "integration_keys",
    "loans",
    "payments",
    "readers",
    "rules",
]
