"""The pay link by email, over SMTP to a real server on loopback."""

import email
import email.policy
import smtplib
import socket
from collections.abc import Iterator
from decimal import Decimal
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.test import Client
from pytest_django import Settings

from billing import charges, links, pay_link_mail, tasks
from circulation.models import Reader
from tests.factories import make_charge, make_reader, make_staff

pytestmark = pytest.mark.django_db


class MailServer:
    """Keeps what it is sent; with `refusal` it answers that instead."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refusal = ""

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refusal:
            return self.refusal
        made = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(made, EmailMessage)
        self.messages.append(made)
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[MailServer]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = MailServer()
    controller = Controller(server, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.MAIL_IS_SET_UP = True
    settings.DEFAULT_FROM_EMAIL = "Town Library <library@example.org>"
    settings.LIBRARY_NAME = "Town Library"
    yield server
    controller.stop()


def test_the_letter_says_what_is_owed_and_where_to_pay_it(
    mail_server: MailServer, anna: Reader
) -> None:
    make_charge(anna, "12.50", description="A book that is nobody's business")
    assert tasks.send_pay_link(anna.pk) == "Sent."
    [letter] = mail_server.messages
    assert mail_server.recipients == [[anna.email]]
    assert letter["Subject"] == "Town Library: 12.50 USD to pay"
    assert letter["From"] == "Town Library <library@example.org>"
    text = letter.get_content()
    assert links.for_account(anna.pk) in text
    assert "12.50 USD is open on your library account" in text
    assert "business" not in text


def test_the_link_in_the_letter_leads_to_the_account(mail_server: MailServer, anna: Reader) -> None:
    make_charge(anna, "12.50")
    tasks.send_pay_link(anna.pk)
    words = mail_server.messages[0].get_content().split()
    [link] = [word for word in words if word.startswith("http://testserver/pay/")]
    assert "payments at the desk only" in Client().get(link).content.decode()


def test_a_child_s_letter_goes_to_the_address_for_notices(mail_server: MailServer) -> None:
    child = make_reader("Dora", email=None, contact_email="Parent@example.org")
    make_charge(child)
    tasks.send_pay_link(child.pk)
    assert mail_server.recipients == [["Parent@example.org"]]


@pytest.mark.parametrize("language", ["pl", "de", "xx", "", "../etc"])
def test_any_language_of_a_reader_gets_a_letter(mail_server: MailServer, language: str) -> None:
    reader = make_reader("Zażółć", last_name="Gęślą", language=language)
    make_charge(reader)
    tasks.send_pay_link(reader.pk)
    assert "Zażółć Gęślą" in mail_server.messages[0].get_content()


def test_the_sum_is_written_as_in_the_reader_s_language(mail_server: MailServer) -> None:
    reader = make_reader(language="pl")
    make_charge(reader, "12.50")
    tasks.send_pay_link(reader.pk)
    assert "12,50 USD" in mail_server.messages[0].get_content()


def test_what_was_settled_meanwhile_is_not_asked_for(mail_server: MailServer, anna: Reader) -> None:
    charge = make_charge(anna)
    charges.waive(charge, Decimal("5.00"), by=make_staff(), reason="Ill")
    assert tasks.send_pay_link(anna.pk) == "Nothing to send."
    assert mail_server.messages == []


def test_a_letter_that_the_server_refuses_is_tried_again(
    mail_server: MailServer, anna: Reader
) -> None:
    make_charge(anna)
    mail_server.refusal = "451 Try again later"
    with pytest.raises(smtplib.SMTPDataError):
        tasks.send_pay_link(anna.pk)
    mail_server.refusal = ""
    assert tasks.send_pay_link(anna.pk) == "Sent."


@pytest.mark.usefixtures("stripe_server", "mail_server")
def test_nothing_owed_is_nothing_to_send(anna: Reader) -> None:
    with pytest.raises(pay_link_mail.MailRefusedError, match="Nothing is owed"):
        pay_link_mail.send_later(anna)
