"""Whether a channel is set up to send anything, and the channels that every library starts with."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts import backends, secrets
from alerts.events import Audience, EventKind, for_audience
from alerts.models import Channel, ChannelAudience

FOR_STAFF = (
    EventKind.LOAN_CREATED,
    EventKind.LOAN_RETURNED,
    EventKind.LOAN_OVERDUE,
    EventKind.PAYMENT_COMPLETED,
    EventKind.PAYMENT_NEEDS_REVIEW,
    EventKind.JOB_FAILED,
    EventKind.CHANNEL_DISABLED,
    EventKind.DELIVERY_FAILED,
)


def what_is_missing(channel: Channel) -> str:
    """Return, in words, what the site lacks so that nothing can be sent by a channel, or nothing.

    Only who runs the site can mend it; what happens meanwhile is not kept to be told later.
    """
    try:
        backend = backends.called(channel.backend)
    except backends.UnknownBackendError:
        message = _("“%(name)s” is not in ALERT_BACKENDS any more, so nothing is sent by it.")
        return message % {"name": channel.backend}
    try:
        missing = backend.missing()
    except Exception as problem:
        return _("The backend failed (%(error)s).") % {"error": type(problem).__name__}
    if not missing:
        return ""
    message = _(
        "%(backend)s is not set up: set %(names)s in the environment and start Carrel anew. Until "
        "then nothing is sent by this channel."
    )
    return message % {"backend": backend.label, "names": ", ".join(missing)}


def what_is_wrong(channel: Channel) -> str:
    """Return what is missing, or what is wrong with the stored settings, or nothing."""
    return what_is_missing(channel) or what_is_unreadable(channel)


def what_is_unreadable(channel: Channel) -> str:
    try:
        channel.settings()
    except secrets.UnreadableSecretError:
        return _(
            "Its secrets cannot be read: they were stored under another CHANNEL_SECRET_KEY or "
            "SECRET_KEY. Enter them again."
        )
    return ""


@dataclass(frozen=True)
class BuiltIn:
    """A channel that is made once, and then belongs to the library, which may change it."""

    key: str
    name: Promise
    backend: str
    audience: ChannelAudience
    kinds: list[EventKind] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """What its history says of its making: found there even if renamed or deleted since."""
        return f"Installed: {self.key}"


def install(*, using: str = DEFAULT_DB_ALIAS) -> list[Channel]:
    """Make the built-in channels that were never made here; return those made now."""
    made = []
    for wanted in _built_in():
        was_made = Channel.history.using(using).filter(history_change_reason=wanted.reason).exists()
        if was_made or wanted.backend not in backends.all_backends():
            continue
        with translation.override(settings.LANGUAGE_CODE):
            name = str(wanted.name)
        if Channel.objects.using(using).filter(name=name).exists():
            continue
        channel = Channel(
            name=name, backend=wanted.backend, audience=wanted.audience, kinds=wanted.kinds
        )
        channel._change_reason = wanted.reason  # type: ignore[attr-defined]
        channel.save(using=using)
        made.append(channel)
    return made


def _built_in() -> Iterator[BuiltIn]:
    for_readers = for_audience(Audience.READER)
    yield BuiltIn(
        "email to readers",
        gettext_lazy("Email to readers"),
        "email",
        ChannelAudience.READERS,
        for_readers,
    )
    if settings.TELEGRAM_BOT_TOKEN and settings.TELEGRAM_CHAT_ID:
        yield BuiltIn(
            "staff Telegram",
            gettext_lazy("Telegram of the staff"),
            "telegram",
            ChannelAudience.STAFF,
            list(FOR_STAFF),
        )
    if settings.ALERT_WEBHOOK_URL:
        yield BuiltIn(
            "notification system",
            gettext_lazy("Notification system"),
            "webhook",
            ChannelAudience.READERS,
            for_readers,
        )
