"""How a channel stands: its state in a word, what waits and what was given up, what is missing."""

from django.db.models import Count, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from alerts import backends, setup
from alerts.backoffice.pages import Table, list_url
from alerts.models import Channel, Delivery, DeliveryStatus


def counted(status: DeliveryStatus) -> Coalesce:
    rows = Delivery.objects.filter(status=status, channel=OuterRef("pk")).order_by()
    of_channel = rows.values("channel").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(of_channel), 0, output_field=IntegerField())


def state_of(channel: Channel) -> tuple[str, str]:
    if not channel.is_active:
        return _("Switched off"), ""
    if setup.what_is_missing(channel):
        return _("Not set up"), "warning"
    ok, problem = channel.last_ok_at, channel.last_problem_at
    if setup.what_is_unreadable(channel) or (problem and (ok is None or problem > ok)):
        return _("Problem"), "danger"
    return (_("Works"), "success") if ok else (_("Not used yet"), "info")


def linked_count(channel: Channel, count: int, status: DeliveryStatus) -> str | SafeString:
    if not count:
        return "–"
    url = list_url(Delivery, channel__id__exact=channel.pk, status__exact=status)
    return format_html('<a class="text-link" href="{}">{}</a>', url, count)


def missing_table() -> Table:
    rows = [
        (str(backend.label), ", ".join(missing))
        for backend in backends.all_backends().values()
        if (missing := backend.missing())
    ]
    headers = (_("By"), _("To be set in the environment first"))
    return Table(_("Not set up yet"), headers, rows, _("Everything is set up."))
