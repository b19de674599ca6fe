"""The audit pages: who changed what, when, from what to what. Nothing here can be changed."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Field
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import formats, timezone
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _
from simple_history.admin import SimpleHistoryAdmin

from alerts.events import EventKind

LONGEST_VALUE = 300
HIDDEN = "•••"
KIND_LABELS = dict(EventKind.choices)
"""The only lists that are audited are of kinds of events."""


class AuditedAdmin(SimpleHistoryAdmin):
    """Adds the history of each object, kept by django-simple-history, to its page."""

    history_list_per_page = 50

    def get_hidden_fields(self, request: HttpRequest) -> frozenset[str]:
        """Return the fields whose values the user may not know: that they changed is shown."""
        return frozenset()

    def history_form_view(
        self,
        request: HttpRequest,
        object_id: str,
        version_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Refuse the library's form of an old version: it would save over the present one."""
        raise Http404

    def set_history_delta_changes(
        self,
        request: HttpRequest,
        historical_records: Sequence[Any],
        foreign_keys_are_objs: bool = True,
    ) -> None:
        """Compare each record of the page with the one before it, also across pages."""
        records = list(historical_records)
        if not records:
            return
        older = [*records[1:], self._record_before(request, records[-1])]
        hidden = self.get_hidden_fields(request)
        for record, previous in zip(records, older, strict=True):
            if previous is not None and record.history_type == "~":
                record.history_delta_changes = list(_changes(previous, record, hidden))

    def _record_before(self, request: HttpRequest, record: Any) -> Any:
        if record.history_type == "+":
            return None
        key = self.model._meta.pk.attname
        found = self.get_history_queryset(request, self.model.history, key, getattr(record, key))
        return found.filter(history_id__lt=record.history_id).order_by("-history_id").first()


def _changes(previous: Any, record: Any, hidden: frozenset[str]) -> Iterator[dict[str, str]]:
    """Yield what differs. The library's own comparison leaves out fields that no form edits."""
    for field in record.tracked_fields:
        if getattr(previous, field.attname) != getattr(record, field.attname):
            yield {
                "field": capfirst(str(field.verbose_name)),
                "old": HIDDEN if field.name in hidden else _shown(previous, field),
                "new": HIDDEN if field.name in hidden else _shown(record, field),
            }


def _shown(record: Any, field: "Field[Any, Any]") -> str:
    try:
        value = getattr(record, field.name)
    except ObjectDoesNotExist:
        return _("(deleted since)")
    return in_words(field, value)


def in_words(field: "Field[Any, Any]", value: Any) -> str:
    """Return a value as staff read it: by label, by locale, nothing as a dash."""
    if isinstance(value, list):
        value = ", ".join(str(KIND_LABELS.get(each, each)) for each in value)
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if field.choices:
        return str(dict(field.flatchoices).get(value, value))
    if hasattr(value, "utcoffset"):
        value = timezone.localtime(value)
    if hasattr(value, "strftime"):
        return str(formats.localize(value))
    return Truncator(str(value)).chars(LONGEST_VALUE)
