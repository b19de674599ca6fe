"""What is owed for the loans, and what of it was paid, waived, given back or still waits."""

from billing.models import (
    Adjustment,
    Allocation,
    Charge,
    Payment,
    PaymentEvent,
    Refund,
)
from tests.benchmarks.size.filling import Clock, fill, uuid
from tests.benchmarks.size.shape import Shape

# What became of a charge, by the last two digits of its loan's number.
CHANCE = "(c.loan_id * 37 % 100)"
PAID = f"(NOT c.is_accruing AND c.kind <> 'LOST' AND {CHANCE} < 90)"
GIVEN_BACK = f"({PAID} AND {CHANCE} >= 88)"
WAIVED = f"(NOT c.is_accruing AND c.kind <> 'LOST' AND {CHANCE} BETWEEN 88 AND 93)"
OPEN = f"(c.is_accruing OR c.kind = 'LOST' OR {CHANCE} > 93)"
CHARGES = "FROM billing_charge c WHERE"
BY_CARD = "c.id % 3 = 0"


def write(shape: Shape, clock: Clock) -> None:
    _charges(shape, clock)
    _payments(shape)
    _allocations(shape)
    _taken_off()
    _events()


def _charges(shape: Shape, clock: Clock) -> None:
    owing = "FROM circulation_loan WHERE undone_at IS NULL AND"
    about = {"reader_id": "reader_id", "loan_id": "id"}
    fill(
        Charge,
        f"{owing} id % 5 = 0",
        id="id",
        kind="'PAYMENT'",
        amount="1.40",
        description="'14 days x 0.10'",
        created_at="created_at",
        **about,
    )
    late = "1 + (id * 31 % 30)"
    fill(
        Charge,
        f"{owing} actual_return_date > expected_return_date",
        id=f"{shape.loans} + id",
        kind="'FINE'",
        amount=f"ROUND(({late}) * 0.10, 2)",
        description="'Days late x 0.10'",
        due_date="expected_return_date",
        assessed_date="actual_return_date",
        created_at="created_at",
        **about,
    )
    yesterday = clock.day("1")
    fill(
        Charge,
        f"{owing} actual_return_date IS NULL AND lost_date IS NULL "
        f"AND expected_return_date < {yesterday}",
        id=f"{shape.loans} + id",
        kind="'FINE'",
        amount="ROUND(0.10 * (1 + id % 99), 2)",
        description="'Open days x 0.10'",
        due_date="expected_return_date",
        is_accruing="TRUE",
        assessed_date=yesterday,
        created_at="created_at",
        **about,
    )
    fill(
        Charge,
        f"{owing} lost_date IS NOT NULL",
        id=f"2 * {shape.loans} + id",
        kind="'LOST'",
        amount="20.00",
        created_at="created_at",
        **about,
    )


def _payments(shape: Shape) -> None:
    about = {
        "reader_id": "c.reader_id",
        "type": "c.kind",
        "borrowing_id": "c.loan_id",
        "money_to_pay": "c.amount",
        "currency": "'USD'",
        "created_at": "c.created_at",
    }
    received = {"paid_amount": "c.amount", "paid_currency": "'USD'", "paid_at": "c.created_at"}
    fill(
        Payment,
        f"{CHARGES} {PAID}",
        id="c.id",
        status=f"CASE WHEN {GIVEN_BACK} THEN 'REFUNDED' ELSE 'PAID' END",
        provider=f"CASE WHEN {BY_CARD} THEN 'STRIPE' ELSE 'CASH' END",
        session_id=f"CASE WHEN {BY_CARD} THEN 'cs_' || c.id END",
        key=uuid("c.id"),
        transaction_id=f"CASE WHEN {BY_CARD} THEN 'pi_' || c.id ELSE '' END",
        refunded_amount=f"CASE WHEN {GIVEN_BACK} THEN c.amount ELSE 0 END",
        taken_by_id=f"CASE WHEN {BY_CARD} THEN NULL ELSE 1 + c.id % 8 END",
        **received,
        **about,
    )
    fill(Payment, f"{CHARGES} {OPEN}", id="c.id", **about)
    expired, review = 3 * shape.loans, 6 * shape.loans
    fill(
        Payment,
        f"{CHARGES} c.id % 20 = 7",
        **about,
        id=f"{expired} + c.id",
        status="'EXPIRED'",
        provider="'STRIPE'",
        session_id=f"'cs_' || ({expired} + c.id)",
        key=uuid(f"{expired} + c.id"),
    )
    fill(
        Payment,
        f"{CHARGES} c.id % 5000 = 35",
        **about,
        **received,
        id=f"{review} + c.id",
        status="'REVIEW'",
        provider="'STRIPE'",
        session_id=f"'cs_' || ({review} + c.id)",
        key=uuid(f"{review} + c.id"),
        review_reason="'Paid twice'",
    )


def _allocations(shape: Shape) -> None:
    fill(
        Allocation,
        f"{CHARGES} {PAID} OR {OPEN}",
        id="c.id",
        payment_id="c.id",
        charge_id="c.id",
        amount="c.amount",
        refunded=f"CASE WHEN {GIVEN_BACK} THEN c.amount ELSE 0 END",
        state=f"CASE WHEN {PAID} THEN 'PAID' ELSE 'OPEN' END",
    )
    expired = 3 * shape.loans
    fill(
        Allocation,
        f"{CHARGES} c.id % 20 = 7",
        id=f"{expired} + c.id",
        payment_id=f"{expired} + c.id",
        charge_id="c.id",
        amount="c.amount",
        state="'RELEASED'",
    )


def _taken_off() -> None:
    fill(
        Adjustment,
        f"{CHARGES} {WAIVED}",
        charge_id="c.id",
        kind="'WAIVED'",
        amount="c.amount",
        by_id="1 + c.id % 8",
        reason="'The library was closed'",
        created_at="c.created_at",
    )
    fill(
        Refund,
        f"{CHARGES} {GIVEN_BACK}",
        payment_id="c.id",
        status="'DONE'",
        amount="c.amount",
        provider_id=f"CASE WHEN {BY_CARD} THEN 're_' || c.id END",
        key=uuid("c.id"),
        by_id="1 + c.id % 8",
        reason="'Charged by mistake'",
        created_at="c.created_at",
        done_at="c.created_at",
    )


def _events() -> None:
    fill(
        PaymentEvent,
        "FROM billing_payment WHERE session_id IS NOT NULL",
        provider="'STRIPE'",
        event_id="'evt_' || id",
        kind="'checkout.session.completed'",
        payment_id="id",
        session_id="session_id",
        received_at="created_at",
        handled_at="created_at",
    )
