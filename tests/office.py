"""How the tests use the admin: sign in, open a page, run an act on rows or on a page."""

from typing import Any

from django.contrib.messages import get_messages
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from circulation.models import Reader
from tests.factories import make_reader


def signed_in(user: Reader) -> Client:
    client = Client()
    client.force_login(user)
    return client


def as_superuser() -> Client:
    return signed_in(make_reader("Root", is_staff=True, is_superuser=True))


def page(row: Model | type[Model], name: str) -> str:
    """Return the address of a page of a model (`changelist`, `add`) or of a row of it."""
    url = f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}"
    return reverse(url, args=[row.pk]) if isinstance(row, Model) else reverse(url)


def act_on(client: Client, act: str, *rows: Model, confirmed: bool = True) -> Any:
    """Run an act on chosen rows of a list, as the confirmation page does."""
    data: dict[str, Any] = {"action": act, "_selected_action": [row.pk for row in rows]}
    if confirmed:
        data["confirmed"] = "yes"
    return client.post(page(type(rows[0]), "changelist"), data)


def act_on_page(client: Client, act: str, row: Model, **answers: Any) -> Any:
    """Press a button of a row's page and confirm its dialog."""
    return client.post(page(row, act), {"_form_submitted": "on", **answers})


def said(response: Any) -> str:
    """Return what the act told the user, also where it is shown on the next page."""
    return "\n".join(str(message) for message in get_messages(response.wsgi_request))
