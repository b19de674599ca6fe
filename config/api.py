"""Every address of the REST API, each with and without its trailing slash."""

from collections.abc import Iterable, Iterator

from django.urls import URLPattern, include, path
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import billing.api
import catalog.api
import circulation.api
from config.rest.schema_views import Redoc, Schema, SwaggerUI

Route = tuple[str, type[APIView], str]

ROUTES: tuple[Route, ...] = (
    *catalog.api.ROUTES,
    *circulation.api.ROUTES,
    *billing.api.ROUTES,
    ("schema", Schema, "schema"),
    ("schema/swagger-ui", SwaggerUI, "swagger-ui"),
    ("schema/redoc", Redoc, "redoc"),
)
# The largest document of the mission has these in a folder of their own.
IN_THE_LIBRARY = ("books", "borrowings", "payments")


class Nowhere(APIView):
    """An address that there is not: a problem as any other, not a page."""

    authentication_classes = ()
    permission_classes = ()
    schema = None

    def http_method_not_allowed(self, request: Request, *_args: str, **_kwargs: str) -> Response:
        raise NotFound


def _addresses(routes: Iterable[Route]) -> Iterator[URLPattern]:
    for route, view, name in routes:
        answer = view.as_view()
        yield path(f"{route}/", answer, name=name)
        yield path(route, answer)


_library = [route for route in ROUTES if route[0].split("/")[0] in IN_THE_LIBRARY]

app_name = "api"
urlpatterns = [
    *_addresses(ROUTES),
    path("library/", include((list(_addresses(_library)), "library"))),
    path("", Nowhere.as_view()),
    path("<path:address>", Nowhere.as_view()),
]
