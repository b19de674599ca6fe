"""Payments over the REST API."""

from rest_framework.views import APIView

ROUTES: tuple[tuple[str, type[APIView], str], ...] = ()
