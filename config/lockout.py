"""What an account that is locked for an address gets: 429, and how long to wait.

django-axes counts the failures, and calls this in place of the answer of a sign-in that failed.
"""

import math
from collections.abc import Mapping
from datetime import timedelta

from axes.helpers import get_cool_off
from axes.models import AccessAttempt
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from rest_framework.response import Response

from circulation.sign_in import account
from config.rest.problems import MEDIA_TYPE, problem


def answer(
    request: HttpRequest,
    original: HttpResponse | None,
    credentials: Mapping[str, str | None] | None,
) -> HttpResponse:
    """Answer a problem to who asks for tokens, and a page to who signs in to the admin."""
    seconds = seconds_left(request, credentials)
    text = _said(math.ceil(seconds / 60))
    response: HttpResponse
    if isinstance(original, Response):
        told = problem(429, "account_locked", text)
        response = JsonResponse(told, status=429, content_type=MEDIA_TYPE)
    else:
        context = {**admin.site.each_context(request), "title": _("Locked"), "text": text}
        response = render(request, "config/locked_out.html", context, status=429)
    response.headers["Retry-After"] = str(seconds)
    response.headers["Cache-Control"] = "no-store"
    return response


def seconds_left(request: HttpRequest, credentials: Mapping[str, str | None] | None) -> int:
    """Return for how long the account stays locked for the address, from 1 on."""
    attempts = AccessAttempt.objects.filter(
        username=account(request, credentials),
        ip_address=request.axes_ip_address,  # type: ignore[attr-defined]
    )
    last = attempts.order_by("-attempt_time").values_list("attempt_time", flat=True).first()
    cool_off = get_cool_off(request)
    if last is None or cool_off is None:
        return 1
    left: timedelta = last + cool_off - timezone.now()
    return max(1, math.ceil(left.total_seconds()))


def _said(minutes: int) -> str:
    return ngettext(
        "Signing in to this account failed too often from here. Try again in %(minutes)d minute, "
        "or ask the library for help.",
        "Signing in to this account failed too often from here. Try again in %(minutes)d minutes, "
        "or ask the library for help.",
        minutes,
    ) % {"minutes": minutes}
