"""Sums in a currency's smallest unit and back."""

from decimal import Decimal

import pytest

from billing import currencies


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("19.99", "USD", 1999),
        ("1.15", "USD", 115),
        ("0.29", "EUR", 29),
        ("1234567890.12", "EUR", 123456789012),
        ("7", "PLN", 700),
        ("500", "JPY", 500),
        ("500.00", "JPY", 500),
        ("1.125", "KWD", 1125),
        ("0", "USD", 0),
    ],
)
def test_a_sum_becomes_whole_units_and_comes_back_the_same(
    amount: str, currency: str, minor: int
) -> None:
    places = currencies.decimals(currency)
    result = currencies.to_minor(Decimal(amount), places)

    assert (result, type(result)) == (minor, int)
    assert currencies.from_minor(minor, places) == Decimal(amount)


@pytest.mark.parametrize(("amount", "currency"), [("19.999", "USD"), ("500.50", "JPY")])
def test_fractions_that_a_currency_does_not_have_are_refused(amount: str, currency: str) -> None:
    with pytest.raises(currencies.UnpayableAmountError, match=amount):
        currencies.to_minor(Decimal(amount), currencies.decimals(currency))


def test_every_cent_up_to_a_hundred_is_kept_exactly() -> None:
    for cents in range(10_001):
        assert currencies.to_minor(Decimal(f"{cents // 100}.{cents % 100:02}"), 2) == cents


def test_sums_come_back_with_two_decimals_as_they_are_kept() -> None:
    assert str(currencies.from_minor(500, 0)) == "500.00"
    assert str(currencies.from_minor(1900, 2)) == "19.00"
    assert str(currencies.from_minor(1125, 3)) == "1.125"


def test_no_currency_has_both_no_minor_unit_and_three_decimals() -> None:
    assert not currencies.NO_MINOR_UNIT & currencies.THREE_DECIMALS
