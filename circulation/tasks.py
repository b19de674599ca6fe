"""The recurring jobs of circulation: thin, and each says in one sentence what it did."""

from datetime import date

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from alerts import tasks as alerts
from circulation import account_mail, fines, holds, notices


def expire_holds(on: date | None = None) -> str:
    """Expire the holds that were not picked up before `on`: by default today, when it runs."""
    count = holds.expire(on=on or timezone.localdate())
    return ngettext("%(count)d hold expired.", "%(count)d holds expired.", count) % {"count": count}


def accrue_fines(on: date | None = None) -> str:
    """Bring the fines of overdue loans up to `on`: by default today, when it runs."""
    count = fines.accrue(on=on or timezone.localdate())
    return ngettext(
        "%(count)d overdue loan brought up to date.",
        "%(count)d overdue loans brought up to date.",
        count,
    ) % {"count": count}


def notify_due_soon(on: date | None = None) -> str:
    """Record the notices of loans due within two days of `on`: by default today."""
    count = notices.record_due_soon(on=on or timezone.localdate())
    return ngettext("%(count)d loan due soon.", "%(count)d loans due soon.", count) % {
        "count": count
    }


def notify_overdue(on: date | None = None) -> str:
    """Record the notices of loans overdue on `on`: by default today."""
    notices.note_accepted(back=notices.LOOKED_BACK_AT_NIGHT)
    count = notices.record_overdue(on=on or timezone.localdate())
    return ngettext("%(count)d loan overdue.", "%(count)d loans overdue.", count) % {"count": count}


def notify_expiring_holds(on: date | None = None) -> str:
    """Record the notices of holds that end tomorrow."""
    count = notices.record_expiring_holds(on=on or timezone.localdate())
    return ngettext("%(count)d hold about to end.", "%(count)d holds about to end.", count) % {
        "count": count
    }


def deliver_alerts(on: date | None = None) -> str:
    """Send what is due, whatever the day, and mark the loans whose overdue notice was accepted."""
    said = alerts.deliver(stay=alerts.WORTH_STAYING)
    notices.note_accepted()
    return said


def send_account_mail(kind: str, email: str) -> str:
    """Mail a letter about an account. Raises what the mail server refuses with."""
    return _("Sent.") if account_mail.send(kind, email) else _("Nothing to send.")


def forget_tokens(on: date | None = None) -> str:
    """Delete the refresh tokens that are too old to be used, whatever the day."""
    now = timezone.now()
    BlacklistedToken.objects.filter(token__expires_at__lte=now).delete()
    count, _by_kind = OutstandingToken.objects.filter(expires_at__lte=now).delete()
    return ngettext("%(count)d token forgotten.", "%(count)d tokens forgotten.", count) % {
        "count": count
    }
