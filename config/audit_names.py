"""The names of all rows that entries of the audit mention, read in one query."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps
from django.db.models import CharField, F, Model, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce, Concat, NullIf, Trim

from config.audit import Record

Names = Mapping[tuple[str, int], str]
"""Name by label of the model and key; who or what was deleted since has none."""
PERSON = "circulation.reader"


def _person(beginning: str = "") -> Any:
    """Return a person's name, or the card of who has none."""
    first, last, card = (
        f"{beginning}{name}" for name in ("first_name", "last_name", "card_number")
    )
    full = Trim(Concat(F(first), Value(" "), F(last)))
    return Coalesce(NullIf(full, Value("")), F(card), Value(""))


HOW: dict[str, Any] = {
    PERSON: _person(),
    "billing.charge": Concat(_person("reader__"), Value(" · "), F("description")),
    "catalog.book": F("title"),
    "catalog.copy": Concat(F("barcode"), Value(" "), F("book__title")),
    "catalog.importrun": F("file_name"),
    "catalog.itemtype": F("name"),
    "circulation.loan": Concat(F("copy__book__title"), Value(" · "), _person("reader__")),
    "circulation.readercategory": F("name"),
}


def names_in(records: Iterable[Record]) -> Names:
    wanted: dict[str, set[int]] = {}
    for record in records:
        for label, key in _mentioned(record):
            wanted.setdefault(label, set()).add(key)
    parts = [_named(label, keys) for label, keys in sorted(wanted.items()) if label in HOW]
    if not parts:
        return {}
    rows = parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]
    return {(label, key): name for label, key, name in rows}


def _mentioned(record: Record) -> Iterable[tuple[str, int]]:
    if record.by_id is not None:
        yield PERSON, record.by_id
    for field in record.source.fields:
        for values in (record.now, record.before or {}):
            if field.is_relation and values.get(field.attname) is not None:
                yield field.related_model._meta.label_lower, values[field.attname]


def _named(label: str, keys: set[int]) -> QuerySet[Any, Any]:
    model: type[Model] = apps.get_model(label)
    rows = model._default_manager.filter(pk__in=keys).order_by()
    return rows.values_list(
        Value(label, output_field=CharField()), "pk", Cast(HOW[label], TextField())
    )
