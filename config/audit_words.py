"""The entries of the audit in words: what it was about by name, and each value before and after."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from alerts.backoffice.closed import may_view
from alerts.backoffice.history import HIDDEN, AuditedAdmin, in_words
from config import audit_doers
from config.audit import Record
from config.audit_names import PERSON, Names, names_in

TECHNICAL = frozenset(
    {
        *("id", "key", "source_id", "import_run", "created_at", "date_joined", "made_at"),
        *("session_id", "session_url", "session_expires_at", "transaction_id", "provider_id"),
        *("checked_at", "must_open", "must_close", "has_generated_barcode", "told_due_date"),
        *("doer", "what", "about", "subject"),
    }
)
"""What programs keep for themselves: it changes with every act, and says nothing to people."""
NAMED_BY = {
    "alerts.channel": ("name",),
    "billing.adjustment": ("charge",),
    "billing.allocation": ("charge",),
    "billing.charge": ("reader", "description"),
    "billing.payment": ("reader", "money_to_pay"),
    "billing.refund": ("payment", "amount"),
    "catalog.book": ("title",),
    "catalog.copy": ("barcode", "book"),
    "catalog.importrun": ("file_name",),
    "catalog.itemtype": ("name",),
    "circulation.closedday": ("date", "reason"),
    "circulation.closedweekday": ("weekday",),
    "circulation.externalidentity": ("reader", "issuer"),
    "circulation.hold": ("book", "reader"),
    "circulation.integrationkey": ("name",),
    "circulation.loan": ("copy", "reader"),
    "circulation.loanpolicy": ("category", "item_type"),
    "circulation.override": ("loan",),
    "circulation.reader": ("first_name", "last_name"),
    "circulation.readercategory": ("name",),
}
"""The fields that tell staff which row it was."""


@dataclass(frozen=True)
class Change:
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class Entry:
    """An entry as the page shows it; `changes` without a `before` are what a new row had."""

    at: datetime
    who: str
    act: str
    about: str
    name: str
    url: str
    note: str
    changes: Sequence[Change]


def entries(request: HttpRequest, records: Sequence[Record]) -> list[Entry]:
    """Return them in words, with the names of all that they mention read in one query."""
    names = names_in(records)
    return [_entry(request, record, names) for record in records]


def _entry(request: HttpRequest, record: Record, names: Names) -> Entry:
    source, now = record.source, record.now
    is_act = source.label == "alerts.officeact"
    changes = list(_changes(request, record, names))
    about = source.about._meta.verbose_name
    return Entry(
        at=record.mark.at,
        who=_who(record, names),
        act=now["what"] if is_act else _act(record, changes),
        about="" if is_act else capfirst(str(about)),
        name=now["about"] if is_act else _name(record, names),
        url=_act_url(request, now["subject"]) if is_act else _url(request, record),
        note=_note(record),
        changes=changes,
    )


def _act(record: Record, changes: Sequence[Change]) -> str:
    if not record.source.is_history:
        return ""
    if record.kind == "-":
        return _("Deleted")
    if record.kind == "+":
        return _("Added")
    if changes or record.before is None:
        return _("Changed")
    if record.source.label == PERSON:  # when somebody was here last and passwords are not kept
        return _("Signed in, or password changed")
    return _("Saved, nothing changed")


def _note(record: Record) -> str:
    if record.kind == "~" and record.before is None and not record.note:
        return _("What was there before is not known.")
    return audit_doers.note(record.note)


def _who(record: Record, names: Names) -> str:
    if record.by_id is not None:
        found = names.get((PERSON, record.by_id))
        return found or record.now.get("doer") or _("somebody deleted since")
    return record.now.get("doer") or audit_doers.doer(record.note)


def _name(record: Record, names: Names) -> str:
    fields = {field.name: field for field in record.source.fields}
    naming = NAMED_BY.get(record.source.label, ())
    words = [_value(fields[name], record.now, names) for name in naming]
    between = " " if record.source.label == "circulation.reader" else " · "
    return between.join(word for word in words if word != "–") or _("for everybody and everything")


def _url(request: HttpRequest, record: Record) -> str:
    """Return where all of the row's history is, which outlives the row; "" where it is closed."""
    model, key = record.source.about, record.now.get("id", record.mark.key)
    page = "history" if record.source.is_history else "change"
    return _page(request, model, page, key)


def _act_url(request: HttpRequest, subject: str) -> str:
    label, _colon, key = subject.partition(":")
    for model in admin.site._registry:
        if model._meta.label_lower == label:
            return _page(request, model, "change", key)
    return ""


def _page(request: HttpRequest, model: type[Model], page: str, key: Any) -> str:
    meta = model._meta
    if not may_view(request, model):
        return ""
    try:
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=[key])
    except NoReverseMatch:
        return ""


def _changes(request: HttpRequest, record: Record, names: Names) -> Iterator[Change]:
    hidden = _hidden(request, record.source.about)
    for field in record.source.fields:
        if field.name in TECHNICAL or record.kind == "-":
            continue
        after = _value(field, record.now, names)
        before = _value(field, record.before, names) if record.before else ""
        if before == after or (not record.before and after == "–"):
            continue
        title = capfirst(str(field.verbose_name))
        if field.name in hidden:
            yield Change(title, HIDDEN if record.before else "", HIDDEN)
        elif field.name not in ("before", "after"):
            yield Change(title, before, after)
    if record.now.get("before") or record.now.get("after"):  # of an act in the office
        yield Change("", record.now["before"] or "–", record.now["after"] or "–")


def _hidden(request: HttpRequest, model: type[Model]) -> frozenset[str]:
    pages = admin.site._registry.get(model)
    return pages.get_hidden_fields(request) if isinstance(pages, AuditedAdmin) else frozenset()


def _value(field: Any, values: Mapping[str, Any], names: Names) -> str:
    raw = values.get(field.attname)
    if raw is None:
        return "–"
    if field.is_relation:
        return _related(field.related_model._meta.label_lower, raw, names)
    return in_words(field, _as_python(field, raw))


def _related(label: str, key: int, names: Names) -> str:
    if label == "billing.payment":
        return _("No. %(number)s") % {"number": key}
    return names.get((label, key)) or _("(deleted since)")


def _as_python(field: Any, raw: Any) -> Any:
    """Turn what a database says in JSON into what the field holds: each has its own way."""
    kind = field.get_internal_type()
    if kind == "JSONField":
        return json.loads(raw) if isinstance(raw, str) else raw
    value = field.to_python(str(raw) if kind == "DecimalField" else raw)
    if isinstance(value, Decimal):
        return value.quantize(Decimal(1).scaleb(-field.decimal_places))
    if isinstance(value, datetime) and timezone.is_naive(value):
        return value.replace(tzinfo=UTC)
    return value
