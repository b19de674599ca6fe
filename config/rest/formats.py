"""What is spoken: JSON, whatever a client says that it accepts."""

import json
from io import BytesIO
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class OnlyJSON(DefaultContentNegotiation):
    """A browser that asks for HTML gets the same JSON as a program: better than a 406."""

    def select_renderer(
        self, request: Request, renderers: list[BaseRenderer], format_suffix: Any = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class JSONBody(JSONParser):
    """Reads a body whose texts are whole characters."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        body = stream.read()
        try:
            found = super().parse(BytesIO(body), media_type, parser_context)
        except RecursionError as deep:
            raise ParseError(_("The body is nested too deeply.")) from deep
        if b"\\u" in body:
            _refuse_half_characters(found)
        return found


def _refuse_half_characters(found: Any) -> None:
    """JSON can escape half of a surrogate pair, which no database and no answer can hold."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as half:
        raise ParseError(_("A text in the body holds half a character.")) from half
