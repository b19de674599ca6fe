"""Webhooks: JSON for another program, signed as the Standard Webhooks specification says."""

import base64
import hmac
import json
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.backends import guard, http
from alerts.backends.base import (
    LONGEST_WAIT,
    Backend,
    ChannelGoneError,
    Message,
    Receipt,
    TryLaterError,
    UndeliverableError,
)
from alerts.backends.fields import SecretField
from alerts.backends.wire import Limit

if TYPE_CHECKING:
    from circulation.models import Reader

SECONDS = 30.0
SECRET_BYTES = range(24, 65)
"""What the specification allows."""


class BadSecretError(ValueError):
    """Not a signing secret of the specification's form."""


class WebhookForm(forms.Form):
    url = forms.CharField(
        label=gettext_lazy("address"),
        required=False,
        max_length=2000,
        help_text=gettext_lazy(
            "The https:// address that messages are posted to; only who may change channels sees "
            "it. Empty: ALERT_WEBHOOK_URL of the environment."
        ),
    )
    token = SecretField(
        label=gettext_lazy("token"),
        max_length=2000,
        help_text=gettext_lazy(
            "Sent as “Authorization: Bearer”. Empty: ALERT_WEBHOOK_TOKEN of the environment, to "
            "its own ALERT_WEBHOOK_URL alone."
        ),
    )
    secret = SecretField(
        label=gettext_lazy("signing secret"),
        max_length=200,
        help_text=gettext_lazy(
            "Signs each message: whsec_ and 24 to 64 random bytes in base64, which the far end "
            "knows too. Empty: messages are not signed."
        ),
    )
    old_secret = SecretField(
        label=gettext_lazy("previous signing secret"),
        max_length=200,
        help_text=gettext_lazy("While the secret is being changed, each message is signed twice."),
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        if not url and not settings.ALERT_WEBHOOK_URL:
            raise forms.ValidationError(_("Enter an address, or set ALERT_WEBHOOK_URL."))
        try:
            guard.check_url(_url(self.cleaned_data))
        except guard.RefusedAddressError as refusal:
            raise forms.ValidationError(str(refusal)) from None
        return url

    def clean_token(self) -> str:
        token: str = self.cleaned_data["token"]
        if token and not _is_plain(token):
            raise forms.ValidationError(_("A token has no spaces, accents and control characters."))
        return token

    def clean_secret(self) -> str:
        return self._signing_secret("secret")

    def clean_old_secret(self) -> str:
        return self._signing_secret("old_secret")

    def _signing_secret(self, name: str) -> str:
        secret: str = self.cleaned_data[name]
        try:
            _keys({name: secret})
        except BadSecretError:
            raise forms.ValidationError(
                _("A signing secret is whsec_ and 24 to 64 random bytes in base64.")
            ) from None
        return secret


class Webhook(Backend):
    name = "webhook"
    label = gettext_lazy("Webhook")
    form_class = WebhookForm
    joins = False  # `metadata` is of one loan

    def address(self, config: Mapping[str, Any], recipient: "Reader | None") -> str:
        return _url(config)

    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        body = json.dumps(_content(message)).encode()
        try:
            guard.check_form(to)
            headers = {**_bearer(config, to), **_signed(message, body, config)}
            with Limit(SECONDS) as limit:
                answer = http.post(
                    to, body, headers=headers, limit=limit, check=guard.check_address
                )
        except guard.RefusedAddressError as refusal:
            raise UndeliverableError(
                _("The address is refused. %(why)s") % {"why": refusal}
            ) from None
        return _receipt(answer)


def _content(message: Message) -> dict[str, Any]:
    """Return what the mission's integration document names; identifiers are text there."""
    return {
        "recipient_id": None if message.recipient_id is None else str(message.recipient_id),
        "recipient_email": message.recipient_email,
        "subject": message.subject,
        "message": message.text,
        "notification_type": message.notification_type,
        "metadata": dict(message.metadata),
    }


def _receipt(answer: http.Answer) -> Receipt:
    """Read the status. The body is not repeated: it may quote the message or the token."""
    said = _("The far end answered HTTP %(status)s.") % {"status": answer.status}
    if answer.is_ok:
        return Receipt(said)
    if answer.status == 410:
        raise ChannelGoneError(_("The far end wants no more messages (HTTP 410)."))
    if answer.is_redirect:
        # An administrator may mend the address before the last attempt.
        message = _("The far end redirects (HTTP %(status)s): enter the address it redirects to.")
        raise TryLaterError(message % {"status": answer.status})
    raise TryLaterError(said, after=_asked_wait(answer.headers.get("Retry-After", "")))


def _asked_wait(retry_after: str) -> timedelta | None:
    """Read seconds or an HTTP date; None where it is neither, or past."""
    try:
        if re.fullmatch(r"[0-9]+", retry_after):
            wait = timedelta(seconds=min(int(retry_after[:9]), LONGEST_WAIT.total_seconds()))
        else:
            wait = parsedate_to_datetime(retry_after) - timezone.now()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(wait, LONGEST_WAIT) if wait > timedelta() else None


def _url(config: Mapping[str, Any]) -> str:
    return str(config.get("url") or settings.ALERT_WEBHOOK_URL)


def _bearer(config: Mapping[str, Any], url: str) -> dict[str, str]:
    """Return the header with the channel's token, or the environment's where that belongs.

    Whoever edits a channel could otherwise have the environment's token sent to themselves.
    """
    token = config.get("token")
    if not token and settings.ALERT_WEBHOOK_TOKEN and _is_the_environments(url):
        token = settings.ALERT_WEBHOOK_TOKEN
    if not token:
        return {}
    if not _is_plain(token):
        raise ChannelGoneError(_("The token has spaces, accents or control characters."))
    return {"Authorization": f"Bearer {token}"}


def _is_the_environments(url: str) -> bool:
    """Tell whether a URL leads to the far end of ALERT_WEBHOOK_URL, whatever the path."""
    if not settings.ALERT_WEBHOOK_URL:
        return False
    ours, other = guard.check_form(settings.ALERT_WEBHOOK_URL), guard.check_form(url)
    return (ours.scheme, ours.netloc) == (other.scheme, other.netloc)


def _is_plain(token: str) -> bool:
    return re.fullmatch(r"[!-~]+", token) is not None


def _signed(message: Message, body: bytes, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the specification's headers: the id stays over retries, the timestamp is of now."""
    now = str(int(time.time()))
    headers = {"webhook-id": str(message.id), "webhook-timestamp": now}
    try:
        keys = _keys(config)
    except BadSecretError:
        raise ChannelGoneError(_("The signing secret is not of the form whsec_….")) from None
    if keys:
        content = f"{message.id}.{now}.".encode() + body
        headers["webhook-signature"] = " ".join(_signature(key, content) for key in keys)
    return headers


def _signature(key: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def _keys(config: Mapping[str, Any]) -> list[bytes]:
    """Return the keys to sign with, the new one first. Raises BadSecretError."""
    secrets = [config.get("secret"), config.get("old_secret")]
    return [_key(secret) for secret in secrets if secret]


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        raise BadSecretError from None
    if len(key) not in SECRET_BYTES:
        raise BadSecretError
    return key
