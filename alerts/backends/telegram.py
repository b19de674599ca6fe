"""Telegram: messages of a bot to one chat, a person's or a group's."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.backends import http
from alerts.backends.base import (
    LONGEST_WAIT,
    Backend,
    BusyError,
    ChannelGoneError,
    DeliveryError,
    Message,
    Pace,
    Receipt,
    TryLaterError,
    UndeliverableError,
)
from alerts.backends.fields import SecretField
from alerts.backends.wire import Limit

if TYPE_CHECKING:
    from circulation.models import Reader

SECONDS = 5.0
LONGEST_TEXT = 4096
LONGEST_TITLE = 256
BETWEEN_MESSAGES = timedelta(seconds=1) / 30
BETWEEN_MESSAGES_TO_A_GROUP = timedelta(seconds=3)
"""The Bot FAQ: 30 messages a second in all, 20 a minute to one group."""

TOKEN = re.compile(r"[0-9]+:[A-Za-z0-9_-]+")
CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{1,64}")
HARMLESS = re.compile(r"[A-Za-z0-9_ :,.'()/-]{1,160}")


class TelegramForm(forms.Form):
    token = SecretField(
        label=gettext_lazy("bot token"),
        max_length=100,
        help_text=gettext_lazy(
            "From @BotFather, as 123456:ABC…. Empty: TELEGRAM_BOT_TOKEN of the environment."
        ),
    )
    chat_id = forms.CharField(
        label=gettext_lazy("chat"),
        required=False,
        max_length=65,
        help_text=gettext_lazy(
            "The number of the chat, below zero for a group, or @name of a channel. Empty: "
            "TELEGRAM_CHAT_ID of the environment."
        ),
    )

    def clean_token(self) -> str:
        token: str = self.cleaned_data["token"]
        if not token and not settings.TELEGRAM_BOT_TOKEN:
            raise forms.ValidationError(_("Enter a bot token, or set TELEGRAM_BOT_TOKEN."))
        if token and not TOKEN.fullmatch(token):
            raise forms.ValidationError(_("A bot token is a number, a colon and letters."))
        return token

    def clean_chat_id(self) -> str:
        chat: str = self.cleaned_data["chat_id"]
        if not chat and not settings.TELEGRAM_CHAT_ID:
            raise forms.ValidationError(_("Enter a chat, or set TELEGRAM_CHAT_ID."))
        if chat and not CHAT.fullmatch(chat):
            raise forms.ValidationError(_("A chat is a number, or @ and a name."))
        return chat


class Telegram(Backend):
    name = "telegram"
    label = gettext_lazy("Telegram")
    form_class = TelegramForm

    def address(self, config: Mapping[str, Any], recipient: "Reader | None") -> str:
        """Return the channel's chat; readers have none of their own."""
        if recipient is not None and not recipient.is_staff:
            return ""
        return str(config.get("chat_id") or settings.TELEGRAM_CHAT_ID)

    def pace(self, config: Mapping[str, Any]) -> Sequence[Pace]:
        bot = sha256(_token(config).encode()).hexdigest()[:16]
        chat = self.address(config, None)
        paces = [(f"telegram:{bot}", BETWEEN_MESSAGES)]
        if chat.startswith(("-", "@")):
            paces.append((f"telegram:{bot}:{chat}"[:100], BETWEEN_MESSAGES_TO_A_GROUP))
        return paces

    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        token = _token(config)
        if not TOKEN.fullmatch(token):
            raise ChannelGoneError(
                _("There is no bot token: set TELEGRAM_BOT_TOKEN, or the channel's own.")
            )
        title = shortened(message.subject, LONGEST_TITLE)
        text = shortened(message.text.strip(), LONGEST_TEXT - units(title) - 2)
        formatted = {
            "text": f"<b>{escape(title, quote=False)}</b>\n\n{escape(text, quote=False)}",
            "parse_mode": "HTML",
        }
        changed = {}
        with Limit(SECONDS) as limit:
            reply = _call(token, to, formatted, limit)
            if reply.moved_to:
                to = changed["chat_id"] = reply.moved_to
                reply = _call(token, to, formatted, limit)
            if reply.cannot_parse:
                reply = _call(token, to, {"text": f"{title}\n\n{text}"}, limit)
        if not reply.is_ok:
            raise reply.refusal(token, message)
        return Receipt(_("Telegram has taken it."), changed)


@dataclass(frozen=True)
class Reply:
    """An answer of the Bot API: `{"ok": …, "error_code": …, "description": …, "parameters": …}`."""

    status: int
    content: Mapping[str, Any]

    @property
    def is_ok(self) -> bool:
        return self.status == 200 and self.content.get("ok") is True

    @property
    def description(self) -> str:
        return str(self.content.get("description", ""))

    @property
    def cannot_parse(self) -> bool:
        return self.status == 400 and "can't parse entities" in self.description

    @property
    def moved_to(self) -> str:
        """The number that a group has been given by becoming a supergroup, else ""."""
        chat = self._parameter("migrate_to_chat_id")
        return str(chat) if self.status == 400 and chat else ""

    def refusal(self, token: str, message: Message) -> DeliveryError:
        """Return what it means that this is not ok."""
        if self.status == 429:
            wait = max(self._parameter("retry_after"), 0)
            after = timedelta(seconds=min(wait, LONGEST_WAIT.total_seconds())) or None
            return BusyError(_("Telegram takes no more messages for a time."), after=after)
        if self.status in {401, 404}:
            return ChannelGoneError(_("Telegram does not know the bot token."))
        said = self._said(token, message)
        if self.status == 403:
            return ChannelGoneError(_("The bot may not write to this chat (%(said)s).") % said)
        if self.status == 400 and "chat not found" in self.description:
            return ChannelGoneError(_("Telegram does not know this chat (%(said)s).") % said)
        if self.status == 400:
            return UndeliverableError(_("Telegram refuses the message (%(said)s).") % said)
        return TryLaterError(_("Telegram did not answer as expected (%(said)s).") % said)

    def _parameter(self, name: str) -> int:
        parameters = self.content.get("parameters")
        value = parameters.get(name) if isinstance(parameters, dict) else None
        return value if isinstance(value, int) else 0

    def _said(self, token: str, message: Message) -> dict[str, str]:
        """Return the description where it can be shown: it may quote the message."""
        said = self.description
        parts = [token, message.subject, *message.text.splitlines()]
        quotes = any(part.strip() and part.strip() in said for part in parts)
        if quotes or not HARMLESS.fullmatch(said):
            said = f"HTTP {self.status}"
        return {"said": said}


def _call(token: str, chat: str, text: Mapping[str, str], limit: Limit) -> Reply:
    """Raises TryLaterError where there is no answer."""
    body = {"chat_id": chat, "link_preview_options": {"is_disabled": True}, **text}
    answer = http.post(
        f"{settings.TELEGRAM_API_BASE}/bot{token}/sendMessage",
        json.dumps(body).encode(),
        headers={},
        limit=limit,
    )
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        content = None
    return Reply(answer.status, content if isinstance(content, dict) else {})


def _token(config: Mapping[str, Any]) -> str:
    return str(config.get("token") or settings.TELEGRAM_BOT_TOKEN)


def units(text: str) -> int:
    """Return the length as Telegram counts it: an emoji is two units of UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shortened(text: str, most: int) -> str:
    """Return at most so many units of a text, cut between words and with an ellipsis."""
    if units(text) <= most:
        return text
    start = text.encode("utf-16-le", "surrogatepass")[: 2 * (most - 1)].decode(
        "utf-16-le", "ignore"
    )
    words = re.match(r".*\S(?=\s)", start + text[len(start)], re.DOTALL)
    return (words[0] if words else start) + "…"
