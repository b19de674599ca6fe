"""What races do with money: the acts of readers, cashiers, webhooks and jobs, by name."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from typing import Any, NoReturn

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing import charges, credit, drafts, ledger, payments, reconcile, refunds, tasks
from billing.gateways.base import GatewayError
from billing.models import Charge, Payment, Refund
from circulation.models import Reader

TIMEOUT = 120
REFUSALS = (
    GatewayError,
    charges.AdjustmentRefusedError,
    drafts.NothingOwedError,
    ledger.OvertakenError,
    payments.PaymentRefusedError,
    refunds.RefundRefusedError,
)


def open_session(reader: int, *owing: int) -> str:
    return f"session {payments.open_for(reader, owing).session_id}"


def settle(payment: int) -> str:
    return str(payments.settle(Payment.objects.get(pk=payment)).status)


def take_cash(charge: int, amount: str, by: int) -> str:
    owing = Charge.objects.select_related("reader").get(pk=charge)
    cashier = Reader.objects.get(pk=by)
    payments.take_cash(owing.reader, {charge: Decimal(amount)}, by=cashier)
    return "taken"


def refund(payment: int, amount: str, by: int) -> str:
    cashier = Reader.objects.get(pk=by)
    paid = Payment.objects.get(pk=payment)
    refunds.refund(paid, Decimal(amount), by=cashier, reason="Paid twice")
    return "refunded"


def send_refund(made: int) -> str:
    return tasks.send_refund(made)


def apply_credit(charge: int, amount: str, by: int) -> str:
    cashier = Reader.objects.get(pk=by)
    credit.spend(Charge.objects.get(pk=charge), Decimal(amount), by=cashier)
    return "applied"


def void(charge: int, by: int) -> str:
    cashier = Reader.objects.get(pk=by)
    charges.void(Charge.objects.get(pk=charge), by=cashier, reason="Wrong reader")
    return "voided"


def reconcile_all() -> str:
    reconcile.run(at=timezone.now() + timedelta(hours=1))
    return "reconciled"


def settle_in_turn(together: Barrier, by: str, *turns: dict[str, str]) -> str:
    """Settle one payment after the other, each at the same moment as the other processes do."""
    settled = Counter(_DOORS[by](turn, together) for turn in turns)
    return ", ".join(f"{times} x {answer}" for answer, times in sorted(settled.items()))


def _by_success_page(turn: dict[str, str], together: Barrier) -> str:
    client, address = Client(), reverse("payment-success")
    together.wait(TIMEOUT)
    answer = client.get(address, {"session_id": turn["session"]})
    return str(answer.status_code)


def _by_webhook(turn: dict[str, str], together: Barrier) -> str:
    client, address = Client(), reverse("payment-webhook", args=["stripe"])
    together.wait(TIMEOUT)
    signed = {"Stripe-Signature": turn["signature"]}
    body, kind = turn["event"], "application/json"
    return str(client.post(address, body, content_type=kind, headers=signed).status_code)


def _by_reconcile(turn: dict[str, str], together: Barrier) -> str:
    at = datetime.fromisoformat(turn["reconcile_at"])
    together.wait(TIMEOUT)
    return f"{reconcile.run(at=at).failed} failed"


_DOORS: dict[str, Callable[[dict[str, str], Barrier], str]] = {
    "success": _by_success_page,
    "webhook": _by_webhook,
    "reconcile": _by_reconcile,
}


def killed_before_the_session_is_written(die: Callable[[], NoReturn], payment: int) -> str:
    _die_instead_of(ledger, "opened", die)
    payments.open_session(Payment.objects.get(pk=payment))
    return "survived"


def killed_before_the_payment_is_written(die: Callable[[], NoReturn], payment: int) -> str:
    _die_instead_of(ledger, "record", die)
    payments.settle(Payment.objects.get(pk=payment))
    return "survived"


def killed_before_the_payment_is_committed(die: Callable[[], NoReturn], payment: int) -> str:
    _die_instead_of(refunds, "record_seen", die)
    payments.settle(Payment.objects.get(pk=payment))
    return "survived"


def killed_before_the_refund_is_written(die: Callable[[], NoReturn], made: int) -> str:
    _die_instead_of(refunds, "record_seen", die)
    refunds.send(Refund.objects.get(pk=made))
    return "survived"


def _die_instead_of(module: Any, name: str, die: Callable[[], NoReturn]) -> None:
    """Be killed where the provider has answered and this function would write it down."""
    setattr(module, name, lambda *_given, **_options: die())


def kill_myself() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL was survived.")


ACTS: tuple[Callable[..., str], ...] = (
    apply_credit,
    open_session,
    reconcile_all,
    refund,
    send_refund,
    settle,
    take_cash,
    void,
)
TOGETHER = (settle_in_turn,)
"""These are given a barrier that all processes of the race share."""
KILLED = (
    killed_before_the_payment_is_committed,
    killed_before_the_payment_is_written,
    killed_before_the_refund_is_written,
    killed_before_the_session_is_written,
)
"""These are given a function that answers for the process and kills it."""
