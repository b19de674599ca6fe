"""The description of the API, as a file and as pages to read and to try it, from our own host."""

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.utils.translation import get_language
from drf_spectacular import renderers
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotAcceptable, NotFound
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from config.rest.access import ANYONE, AccessTable


class JSONOrYAML(DefaultContentNegotiation):
    """By `?format=` or by Accept; JSON for who wants something else."""

    def select_renderer(
        self, request: Request, candidates: Any, format_suffix: Any = None
    ) -> tuple[BaseRenderer, str]:
        try:
            chosen: tuple[BaseRenderer, str] = super().select_renderer(
                request, candidates, format_suffix
            )
        except NotAcceptable:
            return candidates[0], candidates[0].media_type
        return chosen


class OpenToRead(APIView):
    """Open to anyone, and not there at all where API_SCHEMA_PUBLIC is off."""

    access = {"GET": (ANYONE,)}
    authentication_classes = ()
    permission_classes = (AccessTable,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not settings.API_SCHEMA_PUBLIC:
            raise NotFound
        super().initial(request, *args, **kwargs)


class Schema(OpenToRead):
    content_negotiation_class = JSONOrYAML
    renderer_classes = (
        renderers.OpenApiJsonRenderer2,
        renderers.OpenApiJsonRenderer,
        renderers.OpenApiYamlRenderer2,
        renderers.OpenApiYamlRenderer,
    )

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        kind: str = request.accepted_renderer.media_type
        return HttpResponse(_written(get_language(), kind), content_type=kind)


@lru_cache(maxsize=64)
def _written(_language: str | None, kind: str) -> bytes:
    """Write the schema once for each language and format, as that looks at every view."""
    generator: Any = SchemaGenerator
    renderer = next(each for each in Schema.renderer_classes if each.media_type == kind)
    written: bytes = renderer().render(
        generator().get_schema(request=None, public=True), renderer_context={}
    )
    return written


class SwaggerUI(OpenToRead, SpectacularSwaggerSplitView):
    url_name = "api:schema"


class Redoc(OpenToRead, SpectacularRedocView):
    url_name = "api:schema"
    template_name = "config/redoc.html"
