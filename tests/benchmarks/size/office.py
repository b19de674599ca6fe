"""Messages about the loans, what was done in the office, and the history of every row."""

from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models import Model

from alerts.models import Channel, ChannelAudience, Delivery, Event, OfficeAct
from billing.models import Allocation
from catalog.models import Book, Copy, ImportRun
from circulation.models import Hold, Loan, Reader
from config.models import JobRun
from tests.benchmarks.size.filling import Clock, execute, fill, numbers, uuid
from tests.benchmarks.size.shape import STAFF, Shape

BY = f"1 + i % {STAFF}"
BORN = {
    Book: "created_at",
    Copy: "created_at",
    Reader: "date_joined",
    Hold: "placed_at",
    Allocation: "(SELECT p.created_at FROM billing_payment p WHERE p.id = payment_id)",
}
STATUS = (
    "CASE WHEN l.id % 100 = 3 THEN 'DEAD' WHEN l.id % 100 IN (5, 7) THEN 'SKIPPED' ELSE 'SENT' END"
)


def write(shape: Shape, clock: Clock) -> None:
    _messages()
    _runs(shape, clock)
    _histories()


def _messages() -> None:
    """A message for every other loan, which a channel has sent or given up."""
    Channel.objects.all().delete()
    for pk, backend in enumerate(("email", "telegram", "webhook"), 1):
        audience = ChannelAudience.STAFF if pk > 1 else ChannelAudience.READERS
        channel = Channel(pk=pk, name=backend, backend=backend, audience=audience, is_active=False)
        channel.save()
    loans = "FROM circulation_loan l WHERE l.id % 2 = 1"
    fill(
        Event,
        loans,
        id="l.id",
        kind="'LOAN_CREATED'",
        subject="'circulation.loan:' || l.id",
        key="'LOAN_CREATED:circulation.loan:' || l.id",
        reader_id="l.reader_id",
        created_at="l.created_at",
        fanned_out_at="l.created_at",
        cancelled_at="CASE WHEN l.id % 100 IN (5, 7) THEN l.created_at END",
    )
    fill(
        Delivery,
        loans,
        id="l.id",
        event_id="l.id",
        channel_id="1 + l.id % 3",
        recipient_id="l.reader_id",
        key="l.id || ':1:' || l.reader_id",
        kind="'LOAN_CREATED'",
        status=STATUS,
        message_id=f"CASE WHEN l.id % 100 > 9 THEN {uuid('l.id')} END",
        attempts="1",
        next_attempt_at="l.created_at",
        created_at="l.created_at",
        finished_at="l.created_at",
    )


def _runs(shape: Shape, clock: Clock) -> None:
    """Runs of jobs and imports, and what staff did in the office: years of them."""
    year = shape.readers // 2
    at = clock.moment(f"({year} - i) * 365.0 / {year}")
    fill(
        JobRun,
        numbers(1, year),
        name="CASE WHEN i % 2 = 0 THEN 'circulation.tasks.deliver_alerts' "
        "ELSE 'billing.tasks.reconcile' END",
        started_at=at,
        finished_at=at,
        error="CASE WHEN i % 500 = 9 THEN 'The provider does not answer.' ELSE '' END",
    )
    fill(OfficeAct, numbers(1, year), at=at, by_id=BY, doer="'Anna Nowak'", what="'List exported'")
    fill(
        ImportRun,
        numbers(1, max(year // 100, 10)),
        kind="'books'",
        status="CASE WHEN i % 9 = 0 THEN 'refused' ELSE 'done' END",
        by_id=BY,
        file_name="'books-' || i || '.csv'",
        file_hash="'0'",
        started_at=at,
        finished_at=at,
    )


def _histories() -> None:
    """Every row as it was made, and every loan as it came back."""
    for model in apps.get_models():
        manager: Any = getattr(model, "history", None)
        if manager is not None and manager.model is not model:
            _history(model, manager.model)
    historical: Any = Loan.history.model  # type: ignore[attr-defined]
    _history(
        Loan,
        historical,
        kind="~",
        at="COALESCE(undone_at, created_at)",
        which="actual_return_date IS NOT NULL",
    )


def _history(
    model: type[Model], historical: Any, *, kind: str = "+", at: str = "", which: str = "TRUE"
) -> None:
    own = {field.column for field in model._meta.concrete_fields}
    kept = [f.column for f in historical._meta.concrete_fields if f.column in own]
    born = at or BORN.get(model) or ("created_at" if "created_at" in own else "CURRENT_TIMESTAMP")
    quoted = ", ".join(map(connection.ops.quote_name, kept))
    key = model._meta.pk.column  # type: ignore[union-attr]
    execute(
        f"INSERT INTO {historical._meta.db_table} "
        f"({quoted}, history_date, history_type, history_user_id) "
        f"SELECT {quoted}, {born}, '{kind}', 1 + {key} % {STAFF} "
        f"FROM {model._meta.db_table} WHERE {which} ORDER BY {born}, {key}"
    )
