"""Charges: what is owed, what is taken off it by whom and why, and never more than there is."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from billing import charges
from billing.models import Adjustment, AdjustmentKind, Charge, ChargeKind
from circulation.models import Reader
from tests.factories import lend, make_copy, march


@pytest.fixture
def fine(anna: Reader) -> Charge:
    charge = charges.assess(anna, ChargeKind.FINE, Decimal("5.00"), description="Late")
    assert charge is not None
    return charge


def test_a_charge_of_nothing_is_none(anna: Reader) -> None:
    assert charges.assess(anna, ChargeKind.FINE, Decimal("0.00"), description="") is None
    assert not Charge.objects.exists()


def test_a_charge_knows_who_made_it(anna: Reader, maria: Reader) -> None:
    charge = charges.assess(anna, ChargeKind.LOST, Decimal(1), description="Map", by=maria)
    assert charge is not None
    assert charge.history.get().history_user == maria


def test_what_is_waived_is_kept_with_who_and_why(fine: Charge, anna: Reader, maria: Reader) -> None:
    charges.waive(fine, Decimal("2.00"), by=maria, reason="  Was ill  ")
    kept = fine.adjustments.get()
    assert (kept.kind, kept.amount) == (AdjustmentKind.WAIVED, Decimal("2.00"))
    assert (kept.by, kept.reason) == (maria, "Was ill")
    assert kept.history.get().history_user == maria
    fine.refresh_from_db()
    assert fine.amount == Decimal("5.00")
    assert charges.owed(fine) == charges.balance(anna) == Decimal("3.00")


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("4.00", "Only 3.00 USD is left"),
        ("3.01", "Only 3.00 USD is left"),
        ("1E+40", "Only 3.00 USD is left"),
        ("0.00", "above zero"),
        ("-1.00", "above zero"),
        ("0.001", "whole cents"),
        ("2.999", "whole cents"),
        ("NaN", "above zero"),
        ("Infinity", "above zero"),
    ],
)
def test_no_more_is_waived_than_is_left_and_only_whole_cents(
    fine: Charge, maria: Reader, amount: str, told: str
) -> None:
    charges.waive(fine, Decimal("2.00"), by=maria, reason="Ill")
    with pytest.raises(charges.AdjustmentRefusedError, match=told):
        charges.waive(fine, Decimal(amount), by=maria, reason="Ill")
    assert charges.owed(fine) == Decimal("3.00")


def test_cents_may_be_written_with_more_zeros(fine: Charge, maria: Reader) -> None:
    charges.waive(fine, Decimal("2.000"), by=maria, reason="Ill")
    assert charges.owed(fine) == Decimal("3.00")


@pytest.mark.parametrize("reason", ["", " ", "\t\n"])
def test_a_waiver_needs_a_reason(fine: Charge, maria: Reader, reason: str) -> None:
    with pytest.raises(charges.AdjustmentRefusedError, match="Give a reason"):
        charges.waive(fine, Decimal(1), by=maria, reason=reason)


def test_a_long_reason_is_kept_as_far_as_it_fits(fine: Charge, maria: Reader) -> None:
    charges.waive(fine, Decimal(1), by=maria, reason="x" * 1000)
    assert len(fine.adjustments.get().reason) == 300


def test_voiding_takes_the_rest_and_twice_is_once(fine: Charge, maria: Reader) -> None:
    charges.waive(fine, Decimal("2.00"), by=maria, reason="Ill")
    made = charges.void(fine, by=maria, reason="Wrong reader")
    assert made is not None
    assert (made.kind, made.amount) == (AdjustmentKind.VOIDED, Decimal("3.00"))
    assert charges.void(fine, by=maria, reason="Wrong reader") is None
    assert charges.owed(fine) == 0


def test_a_reduction_is_kept_as_one(fine: Charge) -> None:
    charges.reduce(fine, Decimal("0.50"), by=None, reason="Counted a closed day")
    assert fine.adjustments.get().kind == AdjustmentKind.REDUCED


@pytest.mark.parametrize("parts", [["0.10", "0.70"], ["0.20", "0.60"], ["0.10"] * 8])
def test_a_charge_settled_in_parts_is_not_open(
    anna: Reader, maria: Reader, parts: list[str]
) -> None:
    charge = charges.assess(anna, ChargeKind.FINE, Decimal("0.80"), description="Late")
    assert charge is not None
    for part in parts:
        assert Charge.objects.open().get() == charge
        charges.waive(charge, Decimal(part), by=maria, reason="Ill")
    assert not Charge.objects.open().exists()
    assert Charge.objects.with_owed().get().owed == 0


def test_a_balance_is_the_sum_of_what_is_owed(anna: Reader, bartek: Reader) -> None:
    for cents in range(1, 100):
        charges.assess(anna, ChargeKind.FINE, Decimal(cents) / 100, description="Late")
    charges.assess(bartek, ChargeKind.FINE, Decimal(7), description="Late")
    assert str(charges.balance(anna)) == "49.50"


def test_who_owes_nothing_has_a_balance_of_nothing(anna: Reader) -> None:
    assert str(charges.balance(anna)) == "0.00"


def test_a_loan_has_one_fine_for_each_due_date_and_one_that_grows(anna: Reader) -> None:
    loan = lend(anna, make_copy())
    fine = {"reader": anna, "loan": loan, "kind": ChargeKind.FINE, "amount": 1}
    Charge.objects.create(**fine, due_date=march(2), is_accruing=True)
    for again in ({"due_date": march(2)}, {"due_date": march(9), "is_accruing": True}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Charge.objects.create(**fine, **again)
    assert Charge.objects.create(**fine, due_date=march(9))


def test_only_the_fine_of_a_loan_grows(anna: Reader) -> None:
    loan = lend(anna, make_copy())
    for fields in ({"kind": ChargeKind.LOST, "loan": loan}, {"kind": ChargeKind.FINE}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Charge.objects.create(reader=anna, amount=1, is_accruing=True, **fields)


@pytest.mark.parametrize(
    "fields", [{"amount": 0}, {"amount": -1}, {"reason": ""}, {"kind": "GIFT"}]
)
def test_the_database_itself_refuses_an_adjustment_that_is_none(
    fine: Charge, fields: dict[str, object]
) -> None:
    good = {"kind": AdjustmentKind.WAIVED, "amount": 1, "reason": "Ill"}
    with pytest.raises(IntegrityError), transaction.atomic():
        Adjustment.objects.create(charge=fine, **{**good, **fields})
