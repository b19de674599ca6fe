"""Who did what, over every record of it: found in two queries, however much there is.

The histories of rows are django-simple-history's, one table for each model; what they cannot show
is in `alerts.office_acts` and in the overrides and imports, which nothing changes once written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models import (
    F,
    IntegerField,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
)
from django.db.models.functions import Cast, Coalesce, JSONObject

from alerts.office_acts import OfficeAct
from catalog.models import ImportRun
from circulation.models import Override

MOST_ENTRIES = 25
ACT_FIELDS = ("doer", "what", "about", "subject", "before", "after")


@dataclass(frozen=True)
class Source:
    """A table of what happened: the columns of when and who, and the model whose rows it is about.

    Only histories have one version of a row after another; `shown` are the fields of the others.
    """

    model: type[Model]
    about: type[Model]
    at: str = "history_date"
    by: str = "history_user"
    shown: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.about._meta.label_lower

    @property
    def is_history(self) -> bool:
        return not self.shown

    @property
    def fields(self) -> list[Any]:
        """Return the fields of the row itself."""
        if self.is_history:
            tracked: Iterable[Any] = self.model.tracked_fields  # type: ignore[attr-defined]
            return list(tracked)
        return [self.model._meta.get_field(name) for name in self.shown]

    def rows(self) -> QuerySet[Any]:
        return self.model._default_manager.all()


@cache
def sources() -> tuple[Source, ...]:
    """Return all there are: a model that gets a history is here by itself."""
    histories = (
        Source(model, model.instance_type)  # type: ignore[attr-defined]
        for model in sorted(apps.get_models(), key=lambda model: model._meta.label)
        if hasattr(model, "tracked_fields")
    )
    return (
        *histories,
        Source(OfficeAct, OfficeAct, "at", "by", ACT_FIELDS),
        Source(Override, Override, "created_at", "by", ("loan", "message", "reason")),
        Source(ImportRun, ImportRun, "started_at", "by", ("kind", "file_name", "message")),
    )


@dataclass(frozen=True)
class Asked:
    """What is looked for; `since` and `until` are instants, the second one excluded.

    Who asks for a person says since when: else all is looked through for one who did little.
    """

    person_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    label: str = ""


@dataclass(frozen=True, order=True)
class Mark:
    """The place of an entry among all: by instant, then source, then key."""

    at: datetime
    source: int
    key: int


@dataclass(frozen=True)
class Record:
    """An entry with its row, as it was written, and as it was before."""

    mark: Mark
    source: Source
    by_id: int | None
    kind: str
    note: str
    now: dict[str, Any]
    before: dict[str, Any] | None


def newest(asked: Asked, *, older_than: Mark | None = None) -> tuple[list[Record], Mark | None]:
    """Return the newest entries, and the last one's mark where there are more."""
    marks = _marks(asked, older_than)
    shown = marks[:MOST_ENTRIES]
    more = shown[-1] if len(marks) > MOST_ENTRIES else None
    return _records(shown), more


def _marks(asked: Asked, older_than: Mark | None) -> list[Mark]:
    parts = [
        _filtered(source, number, asked, older_than)
        .order_by()
        .annotate(entry_at=F(source.at), entry_source=_number(number), entry_key=F("pk"))
        .values_list("entry_at", "entry_source", "entry_key")
        for number, source in enumerate(sources())
        if asked.label in ("", source.label)
    ]
    if connection.features.supports_slicing_ordering_in_compound and len(parts) > 1:
        # PostgreSQL would sort all there is; SQLite takes the newest of each by itself.
        parts = [part.order_by("-entry_at", "-entry_key")[: MOST_ENTRIES + 1] for part in parts]
    rows = _in_one(parts).order_by("-entry_at", "-entry_source", "-entry_key")
    return [Mark(*row) for row in rows[: MOST_ENTRIES + 1]]


def _number(number: int) -> Value:
    return Value(number, output_field=IntegerField())


def _in_one(parts: list[QuerySet[Any]]) -> QuerySet[Any]:
    return parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]


def _filtered(source: Source, number: int, asked: Asked, older_than: Mark | None) -> QuerySet[Any]:
    rows = source.rows()
    if asked.person_id is not None:
        # Not by the index of people: who has worked here for years has done more than anybody
        # wants sorted. The days are what bounds it.
        rows = rows.annotate(entry_by=Coalesce(F(f"{source.by}_id"), 0))
        rows = rows.filter(entry_by=asked.person_id)
    if asked.since is not None:
        rows = rows.filter(**{f"{source.at}__gte": asked.since})
    if asked.until is not None:
        rows = rows.filter(**{f"{source.at}__lt": asked.until})
    return rows if older_than is None else rows.filter(_older(source, number, older_than))


def _older(source: Source, number: int, mark: Mark) -> Q:
    """Match what comes after a mark. The bound that stands alone is what an index is used for."""
    at_most = Q(**{f"{source.at}__lte": mark.at})
    if number < mark.source:
        return at_most
    earlier = Q(**{f"{source.at}__lt": mark.at})
    return at_most & (earlier | Q(pk__lt=mark.key)) if number == mark.source else earlier


def _records(marks: Sequence[Mark]) -> list[Record]:
    """Read the rows of the marks with those before them, all kinds in one query."""
    parts = []
    for number in sorted({mark.source for mark in marks}):
        keys = [mark.key for mark in marks if mark.source == number]
        parts.append(_in_full(sources()[number], number, keys))
    if not parts:
        return []
    found = {(number, key): rest for number, key, *rest in _in_one(parts)}
    return [_record(mark, *found[mark.source, mark.key]) for mark in marks]


def _record(mark: Mark, now: dict[str, Any], before: dict[str, Any] | None) -> Record:
    return Record(
        mark=mark,
        source=sources()[mark.source],
        by_id=now.pop("entry_by"),
        kind=now.pop("entry_kind"),
        note=now.pop("entry_note") or "",
        now=now,
        before=before,
    )


def _in_full(source: Source, number: int, keys: list[int]) -> QuerySet[Any]:
    columns = {field.attname: field.attname for field in source.fields}
    if source.is_history:
        entry: dict[str, Any] = {
            "entry_kind": "history_type",
            "entry_note": "history_change_reason",
        }
        # A history's column of the key has the name that the key has in the row.
        key = source.about._meta.pk.attname
        versions = source.rows().filter(**{key: OuterRef(key), "pk__lt": OuterRef("pk")})
        before: Any = Subquery(versions.order_by("-pk").values(whole=JSONObject(**columns))[:1])
    else:
        nothing = Cast(Value(""), TextField())  # PostgreSQL asks of what type it is
        entry = {"entry_kind": nothing, "entry_note": nothing}
        before = Subquery(source.rows().none().values(whole=JSONObject(pk="pk")))
    return (
        source.rows()
        .filter(pk__in=keys)
        .order_by()
        .values_list(
            _number(number),
            "pk",
            JSONObject(entry_by=f"{source.by}_id", **entry, **columns),
            before,
        )
    )
