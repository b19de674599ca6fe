"""How a date and a sum are written in the messages that people read."""

from datetime import date
from decimal import Decimal

from django.conf import settings
from django.utils import formats


def day(value: date | None) -> str:
    """Return a date with its weekday, which is how people remember it: “Mon 2 Mar 2026”."""
    return formats.date_format(value, "D j M Y") if value else ""


def money(amount: Decimal) -> str:
    """Return a sum with the site's currency: “8.00 USD”."""
    return f"{formats.number_format(amount, 2)} {settings.CURRENCY}"
