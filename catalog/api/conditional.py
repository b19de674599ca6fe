"""Conditional requests after RFC 9110: a validator for what is sent, and what a client has of it.

The validator is a hash of the very bytes, so it never says "not modified" of what has changed.
"""

import json
from hashlib import blake2b
from typing import Any

from django.http import HttpResponse
from django.utils.http import parse_etags
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException
from rest_framework.request import Request


class PreconditionFailedError(APIException):
    status_code = 412
    default_code = "precondition_failed"
    default_detail = _("It was changed since you read it. Read it again, then change it.")


def answer(request: Request, content: Any, *, status: int = 200) -> HttpResponse:
    """Return the content as JSON with its ETag, or 304 to a client that has it already."""
    body = _as_json(content)
    etag = _etag(body)
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if request.method in ("GET", "HEAD") and _is_among(etag, known):
        response = HttpResponse(status=304)
        del response.headers["Content-Type"]
    else:
        response = HttpResponse(body, content_type="application/json", status=status)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "no-cache"  # to be kept, but asked about each time
    return response


def require_match(request: Request, content: Any) -> None:
    """Raise PreconditionFailedError unless `If-Match`, where it is sent, names this content."""
    sent = request.headers.get("If-Match")
    if sent is None or sent.strip() == "*":
        return
    if _etag(_as_json(content)) not in parse_etags(sent):
        raise PreconditionFailedError


def _as_json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _etag(body: bytes) -> str:
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


def _is_among(etag: str, known: list[str]) -> bool:
    return known == ["*"] or any(etag == one.removeprefix("W/") for one in known)
