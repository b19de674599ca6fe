"""What the library does with others: workers and jobs, messages, mail, payments, sign-in."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.core import mail
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts import setup
from alerts.models import Channel, Delivery
from billing import gateways
from config import health
from config.doctor.findings import Finding, advice, off, ok, problem
from config.models import JobRun
from config.oidc import provider
from config.runs import WORKER
from config.unsaid import without_secrets

LATELY = timedelta(days=1)


def jobs() -> Iterator[Finding]:
    now = timezone.now()
    found = health.problems(at=now)
    yield from (problem(each) for each in found)
    if not found:
        yield _last_job()
    restarts = JobRun.objects.filter(name=WORKER, started_at__gte=now - LATELY).order_by("-pk")
    if last := restarts.first():
        yield advice(
            _("Restarts of the workers since yesterday: %(number)d. %(why)s")
            % {"number": restarts.count(), "why": last.error},
            _("Look at what the log says before."),
        )


def _last_job() -> Finding:
    last = JobRun.objects.exclude(name=WORKER).order_by("-pk").first()
    if last is None:
        how = _("Start the worker: python manage.py run_worker")
        return advice(_("No job has run yet."), how)
    at = {"at": f"{timezone.localtime(last.started_at):%Y-%m-%d %H:%M}"}
    return ok(_("A worker is at work: the last job began %(at)s.") % at)


def alerts() -> Iterator[Finding]:
    channels = list(Channel.objects.filter(is_active=True))
    if not channels:
        yield advice(
            _("No channel is in use: nobody is told anything."), _("Add one under Channels.")
        )
    for channel in channels:
        about = {"name": channel.name}
        if why := setup.what_is_missing(channel):
            yield advice(_("Channel “%(name)s”: %(why)s") % {**about, "why": why})
        elif why := setup.what_is_unreadable(channel):
            yield problem(_("Channel “%(name)s”: %(why)s") % {**about, "why": why})
        else:
            yield ok(_("Channel “%(name)s” is set up.") % about)
    if failed := Delivery.objects.failed_lately(at=timezone.now()).count():
        yield problem(
            _("Messages given up within a week: %(number)d.") % {"number": failed},
            _("Look at them under Deliveries: failed lately."),
        )


def mail_server() -> Iterator[Finding]:
    if not settings.MAIL_IS_SET_UP:
        yield off(_("No email is sent."), _("Set EMAIL_URL."))
        return
    place = {"host": settings.EMAIL_HOST, "port": settings.EMAIL_PORT}
    try:
        with mail.get_connection():
            yield ok(_("The mail server takes us (%(host)s, port %(port)s).") % place)
    except Exception as refused:  # a mail backend may raise what it likes
        why = without_secrets(str(refused)) or type(refused).__name__
        sentence = _("The mail server does not take us (%(host)s, port %(port)s): %(why)s")
        yield problem(sentence % {**place, "why": why}, _("Mend EMAIL_URL, or start it."))


def payments() -> Iterator[Finding]:
    """Halves of keys are told by Django's checks."""
    for gateway in gateways.all_gateways().values():
        label = {"provider": gateway.label, "names": ", ".join(gateway.missing())}
        if not gateway.is_online:
            yield ok(_("%(provider)s is taken at the desk.") % label)
        elif not gateway.is_configured:
            yield off(_("%(provider)s is not set up.") % label, _("Set %(names)s.") % label)
        elif not gateway.can_check_events:
            yield advice(
                _("%(provider)s is set up, but for its webhook.") % label,
                _("The README says how: payments are seen ten minutes late without it."),
            )
        else:
            yield ok(_("%(provider)s is set up.") % label)


def sign_in() -> Iterator[Finding]:
    if not (provider.signs_in_callers() or provider.signs_in_staff()):
        yield off(_("Nobody signs in through an OpenID Connect provider."), _("Set OIDC_ISSUER."))
        return
    try:
        provider.document()
    except provider.ProviderAwayError:
        yield problem(
            _("The sign-in provider %(issuer)s does not answer, or not as one does.")
            % {"issuer": settings.OIDC_ISSUER},
            _("The log says what was wrong. Local passwords stay good."),
        )
    else:
        yield ok(_("The sign-in provider %(issuer)s answers.") % {"issuer": settings.OIDC_ISSUER})
