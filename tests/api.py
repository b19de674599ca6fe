"""Callers of the REST API: a client that is signed in as somebody, by a real token."""

from typing import Any

from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from circulation.models import Reader


def client_for(reader: Reader | None = None) -> APIClient:
    """Return a client with an access token of this reader; without a reader, an anonymous one."""
    client = APIClient()
    if reader is not None:
        token = AccessToken.for_user(reader)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def listed(reader: Reader, address: str) -> list[int]:
    """Return the numbers of the rows that a list shows the reader."""
    answer = client_for(reader).get(address)
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


def wrong_fields(answer: Any) -> set[str]:
    """Return the fields that a refused input complains about."""
    assert answer.status_code == 400, answer.content
    return {wrong["field"] for wrong in answer.json()["errors"]}


def reasons(answer: Any) -> list[str]:
    """Return the codes of the reasons of a conflict."""
    assert answer.status_code == 409, answer.content
    return [reason["code"] for reason in answer.json()["reasons"]]
