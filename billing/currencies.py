"""Sums as providers want them: whole numbers of a currency's smallest unit, never by a float."""

from decimal import Decimal

from django.utils.translation import gettext as _

NO_MINOR_UNIT = frozenset(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()
)
THREE_DECIMALS = frozenset("BHD IQD JOD KWD LYD OMR TND".split())
"""Both from ISO 4217, table A.1; the provider's own exceptions are in its gateway."""


class UnpayableAmountError(ValueError):
    """The sum has fractions that the currency does not have."""


def decimals(currency: str) -> int:
    """Return how many decimals a sum in this currency has."""
    if currency in NO_MINOR_UNIT:
        return 0
    return 3 if currency in THREE_DECIMALS else 2


def to_minor(amount: Decimal, places: int) -> int:
    """Return 1999 for 19.99 with two places. Raises UnpayableAmountError."""
    minor = amount.scaleb(places)
    if minor != minor.to_integral_value():
        message = _("%(amount)s cannot be paid online: the currency has %(places)d decimals.")
        raise UnpayableAmountError(message % {"amount": amount, "places": places})
    return int(minor)


def from_minor(minor: int, places: int) -> Decimal:
    """Return 19.99 for 1999 with two places, with at least two decimals as sums are kept."""
    return (
        Decimal(minor).scaleb(-places).quantize(Decimal("0.01") if places < 3 else Decimal("0.001"))
    )
