"""What tests of payments do again and again, and the check that ends each of them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from django.conf import settings
from django.db.models import Model
from django.utils.module_loading import import_string
from django_q.models import OrmQ

from alerts.events import EventKind
from alerts.models import Event
from billing import accounts, payments
from billing.models import AllocationState, Charge, Payment
from config import integrity

Row = TypeVar("Row", bound=Model)


@pytest.fixture
def books_balance(db: None) -> Iterator[None]:
    """Whatever the test does, all that is written agrees afterwards."""
    yield
    assert disagreements() == {}


def disagreements() -> dict[str, list[str]]:
    checks = [check for check in integrity.CHECKS if check.find.__module__ == "billing.integrity"]
    assert checks
    found = {check.name: list(check.find()) for check in checks}
    return {name: wrong for name, wrong in found.items() if wrong}


def again(row: Row) -> Row:
    """Return the row as the database has it now."""
    found: Row = row._meta.model._default_manager.get(pk=row.pk)  # type: ignore[attr-defined]
    return found


def waiting(charge: Charge) -> Payment:
    """Return the payment that waits for a charge."""
    return Payment.objects.get(allocations__charge=charge, allocations__state=AllocationState.OPEN)


def in_session(*charges: Charge) -> Payment:
    """A reader opens the pay link for these charges."""
    return payments.open_for(charges[0].reader_id, [charge.pk for charge in charges])


def session_of(payment: Payment) -> str:
    assert payment.session_id is not None
    return payment.session_id


def parts(payment: Payment) -> dict[int, Decimal]:
    """Return what the payment covers, by charge."""
    return dict(payment.allocations.values_list("charge", "amount"))


def owed(charge: Charge) -> Decimal:
    return accounts.owed(again(charge))


def told(kind: EventKind, payment: Payment) -> int:
    """Return how many alerts of a kind there are about a payment."""
    return Event.objects.filter(kind=kind, subject=f"billing.payment:{payment.pk}").count()


def queued() -> list[tuple[str, tuple[Any, ...]]]:
    """Return the jobs that wait for a worker, with what they are for."""
    tasks = [row.task for row in OrmQ.objects.order_by("pk")]
    return [(task["func"].rpartition(".")[2], task["args"]) for task in tasks if _is_of_money(task)]


def work_off_the_queue() -> list[str]:
    """Do as the workers do; return what they say."""
    said = []
    for row in OrmQ.objects.order_by("pk"):
        task = row.task
        row.delete()
        if _is_of_money(task):
            said.append(import_string(task["func"])(*task["args"]))
    return said


def _is_of_money(task: dict[str, Any]) -> bool:
    """Leave out the waking of workers for alerts, which almost any act does."""
    wakes: bool = task["func"] == settings.ALERT_DELIVERY_TASK
    return not wakes
