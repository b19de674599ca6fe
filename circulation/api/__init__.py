"""The REST API of readers and lending: one module for each kind of thing."""

from rest_framework.views import APIView

ROUTES: tuple[tuple[str, type[APIView], str], ...] = ()
