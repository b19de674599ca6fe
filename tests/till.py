"""How the tests use the pages of money: open an account, fill in one of its forms, send it."""

from typing import Any

from django.test import Client
from django.urls import reverse

from billing.models import Charge, Payment
from circulation.models import Reader


def account_url(reader: Reader) -> str:
    return reverse("billing-account", args=[reader.pk])


def receipt_url(payment: Payment) -> str:
    return reverse("billing-receipt", args=[payment.pk])


def form(client: Client, reader: Reader, act: str) -> dict[str, Any]:
    """Return what a form of the account page sends if nothing is filled in."""
    shown = client.get(account_url(reader)).context["acts"][act]
    filled = {"act": act, **shown.initial}
    for name, field in shown.fields.items():
        if getattr(field, "choices", None):
            filled.setdefault(name, field.choices[0][0])
    if act == "cash":
        filled["charge"] = [charge.pk for charge in shown.account.open_charges]
    return filled


def do(client: Client, reader: Reader, act: str, **answers: Any) -> Any:
    """Open the account, fill in a form and press its button."""
    return client.post(account_url(reader), {**form(client, reader, act), **answers})


def take(client: Client, reader: Reader, *charges: Charge, **answers: Any) -> Any:
    """Take cash for these charges, or for all."""
    ticked = {"charge": [charge.pk for charge in charges]} if charges else {}
    return do(client, reader, "cash", **ticked, **answers)
