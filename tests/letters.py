"""The way of a letter about an account: from the request over the queue to the mailbox."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from circulation import account_mail, tasks


class PostOffice:
    """Runs a request, and keeps what it left to the workers until they are told to work."""

    def __init__(self, commit: DjangoCaptureOnCommitCallbacks) -> None:
        self.commit = commit
        self.queued: list[tuple[Any, ...]] = []

    def after(self, request: Callable[[], Any]) -> Any:
        with self.commit(execute=True):
            return request()

    def deliver(self) -> list[EmailMultiAlternatives]:
        """Let a worker send what is queued, and return the letters."""
        before = len(mail.outbox)
        while self.queued:
            function, *arguments = self.queued.pop(0)
            assert function == account_mail.SEND
            tasks.send_account_mail(*arguments)
        return [each for each in mail.outbox[before:] if isinstance(each, EmailMultiAlternatives)]


@pytest.fixture
def post_office(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> PostOffice:
    office = PostOffice(django_capture_on_commit_callbacks)
    settings.MAIL_IS_SET_UP = True
    settings.SITE_URL = "https://library.example.org"
    monkeypatch.setattr(account_mail, "async_task", lambda *call: office.queued.append(call))
    return office


def link(letter: EmailMultiAlternatives) -> str:
    """Return the path of the link in a letter, which is on the library's own site."""
    [address] = re.findall(r"https?://\S+", str(letter.body))
    assert address.startswith("https://library.example.org/account/")
    assert f'href="{address}"' in str(letter.alternatives[0][0])
    return urlsplit(address).path
