"""Sums as Stripe counts them, and the smallest that it takes: https://docs.stripe.com/currencies.

Where Stripe's units differ from ISO 4217, Stripe's hold here.
"""

from decimal import Decimal

from billing import currencies

NO_MINOR_UNIT = (currencies.NO_MINOR_UNIT | {"MGA"}) - {"ISK", "UGX"}
WHOLE_BUT_IN_HUNDREDTHS = frozenset(("ISK", "UGX"))
"""Stripe counts them in hundredths for old times' sake, and takes whole units only."""

SMALLEST = {
    currency: Decimal(amount)
    for amount, listed in {
        "0.30": "GBP",
        "0.50": "AUD BRL CAD CHF EUR INR NZD SGD USD",
        "1.00": "BGN",
        "2.00": "AED MYR PLN RON",
        "2.50": "DKK",
        "3.00": "NOK SEK",
        "4.00": "HKD",
        "10.00": "MXN THB",
        "15.00": "CZK",
        "50.00": "JPY",
        "175.00": "HUF",
    }.items()
    for currency in listed.split()
}
"""https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts"""


def smallest(currency: str) -> Decimal:
    """Return the minimum charge of an account that is settled in this currency.

    Other currencies must be worth the minimum of the account's own, which is not known here: for
    them this is a floor, and Stripe may still say that an amount is too small.
    """
    return SMALLEST.get(currency, Decimal("0.50") if decimals(currency) else SMALLEST["JPY"])


def to_minor(amount: Decimal, currency: str) -> int:
    """Return the amount in Stripe's units. Raises UnpayableAmountError."""
    if currency in WHOLE_BUT_IN_HUNDREDTHS:
        return currencies.to_minor(amount, 0) * 100
    return currencies.to_minor(amount, decimals(currency))


def from_minor(minor: int, currency: str) -> Decimal:
    return currencies.from_minor(minor, decimals(currency))


def decimals(currency: str) -> int:
    if currency in NO_MINOR_UNIT:
        return 0
    return 2 if currency in WHOLE_BUT_IN_HUNDREDTHS else currencies.decimals(currency)
