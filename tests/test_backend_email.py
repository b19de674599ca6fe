"""Email, by a real SMTP server with STARTTLS and AUTH."""

from dataclasses import replace
from email.message import EmailMessage

import pytest
import trustme
from django.core import mail
from pytest_django import Settings

from alerts.backends import email
from alerts.backends.base import TryLaterError, UndeliverableError
from alerts.backends.email import Email, EmailForm
from circulation.models import Reader
from tests.alert_servers import MAIL_PASSWORD, MailServer, make_message, tls_of

BACKEND = Email()
ANNA = "anna@example.org"
EVIL_TITLES = [
    "Solaris\nBcc: eve@example.com",
    "Solaris\r\nBcc: eve@example.com\r\n\r\nAnother body",
    "Solaris\rBcc: eve@example.com",
    "Solaris\x0bBcc: eve@example.com",
    "Solaris\x85Bcc: eve@example.com",
    "Solaris\u2028Bcc: eve@example.com",
    "Solaris\x00\x1b[31mBcc: eve@example.com",
]


def parts_of(mail: EmailMessage) -> dict[str, str]:
    return {
        part.get_content_type(): part.get_content()
        for part in mail.walk()
        if not part.is_multipart()
    }


def test_a_mail_goes_out_as_text_and_html_over_tls_with_a_login(mail_server: MailServer) -> None:
    message = make_message()

    receipt = BACKEND.send(message, ANNA, {})

    assert receipt.answer == "The mail server has taken it."
    (received,) = mail_server.inbox
    assert mail_server.recipients == [ANNA]
    assert received["To"] == ANNA
    assert received["From"] == "Library <desk@library.example.org>"
    assert received["Subject"] == message.subject
    assert received["Auto-Submitted"] == "auto-generated"
    assert received["Date"]
    assert received.get_content_type() == "multipart/alternative"
    parts = parts_of(received)
    assert parts["text/plain"].splitlines() == message.text.splitlines()
    assert parts["text/html"].strip() == message.html


def test_a_mail_sent_again_carries_the_id_of_the_first(mail_server: MailServer) -> None:
    message = make_message()

    BACKEND.send(message, ANNA, {})
    BACKEND.send(message, ANNA, {})

    ids = {(received["Message-ID"], received["X-Carrel-Id"]) for received in mail_server.inbox}
    assert ids == {(f"<{message.id}@library.example.org>", str(message.id))}


def test_optional_notices_are_declined_with_one_click(mail_server: MailServer) -> None:
    address = "https://library.example.org/notices/" + "a" * 120 + "/"

    BACKEND.send(make_message(unsubscribe_url=address), ANNA, {})
    BACKEND.send(make_message(), ANNA, {})

    optional, other = mail_server.inbox
    assert optional["List-Unsubscribe"].strip() == f"<{address}>"
    assert optional["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert other["List-Unsubscribe"] is None


@pytest.mark.parametrize("title", EVIL_TITLES)
def test_a_title_with_a_line_break_puts_no_header_into_the_mail(
    mail_server: MailServer, title: str
) -> None:
    BACKEND.send(make_message(subject=title), ANNA, {})

    (received,) = mail_server.inbox
    assert received["Bcc"] is None
    assert received["Subject"].startswith("Solaris ")
    assert "Bcc: eve@example.com" in received["Subject"]
    assert mail_server.recipients == [ANNA]


@pytest.mark.parametrize("to", [f"{ANNA}\nBcc: eve@example.com", f"{ANNA}, eve@example.com", "@"])
def test_an_address_that_is_none_is_undeliverable(mail_server: MailServer, to: str) -> None:
    with pytest.raises(UndeliverableError) as refusal:
        BACKEND.send(make_message(), to, {})

    assert not mail_server.inbox
    assert "anna" not in str(refusal.value)


def test_titles_of_any_script_arrive_as_typed(mail_server: MailServer) -> None:
    title = "Łódź, 東京 & <b>„Żółw”</b> 👩‍👩‍👧 " + "very " * 40 + "long"

    BACKEND.send(make_message(subject=title), ANNA, {})

    (received,) = mail_server.inbox
    assert received["Subject"].strip() == title  # it may begin on a line of its own


@pytest.mark.parametrize(
    ("stage", "reply", "error", "said"),
    [
        ("RCPT", "550 5.1.1 no such user anna@example.org", UndeliverableError, "recipient (550)"),
        ("RCPT", "552 mailbox full", UndeliverableError, "recipient (552)"),
        ("RCPT", "450 4.2.1 greylisted", TryLaterError, "recipient (450)"),
        ("RCPT", "421 going down", TryLaterError, "recipient (421)"),
        ("DATA", "554 looks like spam", UndeliverableError, "message (554)"),
        ("DATA", "451 try later", TryLaterError, "message (451)"),
        ("MAIL", "550 not your address", TryLaterError, "DEFAULT_FROM_EMAIL (550)"),
        ("MAIL", "421 too many", TryLaterError, "(421)"),
    ],
)
def test_refusals_of_500_and_more_are_for_good(
    mail_server: MailServer, stage: str, reply: str, error: type[Exception], said: str
) -> None:
    mail_server.replies[stage] = reply

    with pytest.raises(error) as refusal:
        BACKEND.send(make_message(), ANNA, {})

    assert type(refusal.value) is error
    assert said in str(refusal.value)
    assert ANNA not in str(refusal.value)
    assert not mail_server.inbox


def test_a_wrong_password_is_said_and_tried_again(
    mail_server: MailServer, settings: Settings
) -> None:
    settings.EMAIL_HOST_PASSWORD = "not " + MAIL_PASSWORD

    with pytest.raises(TryLaterError, match=r"did not accept user and password \(535\)") as trouble:
        BACKEND.send(make_message(), ANNA, {})

    assert MAIL_PASSWORD not in str(trouble.value)


def test_a_server_that_is_down_takes_the_mail_afterwards(mail_server: MailServer) -> None:
    mail_server.down()
    with pytest.raises(TryLaterError, match=r"cannot be reached \(ConnectionRefusedError\)\.$"):
        BACKEND.send(make_message(), ANNA, {})

    mail_server.up()
    BACKEND.send(make_message(), ANNA, {})

    assert len(mail_server.inbox) == 1


def test_without_email_url_the_trouble_names_it(
    mail_server: MailServer, settings: Settings
) -> None:
    mail_server.down()
    settings.MAIL_IS_SET_UP = False

    with pytest.raises(TryLaterError, match=r"EMAIL_URL is not set\.$"):
        BACKEND.send(make_message(), ANNA, {})

    assert BACKEND.missing() == ["EMAIL_URL"]


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    with pytest.raises(TryLaterError, match="No safe connection to the mail server"):
        BACKEND.send(make_message(), ANNA, {})

    assert not mail_server.inbox


def test_the_password_is_not_sent_where_tls_is_not_offered(
    trusted: trustme.CA, settings: Settings
) -> None:
    server = PlainServer(tls_of(trusted, "127.0.0.1"))
    server.up()
    settings.EMAIL_BACKEND, settings.EMAIL_USE_TLS = email.SMTP, True
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "library", MAIL_PASSWORD
    try:
        with pytest.raises(TryLaterError, match="has no STARTTLS or no login"):
            BACKEND.send(make_message(), ANNA, {})
    finally:
        server.down()


class PlainServer(MailServer):
    has_tls = False


def test_tls_from_the_first_byte_works_too(trusted: trustme.CA, settings: Settings) -> None:
    server = TlsServer(tls_of(trusted, "127.0.0.1"))
    server.up()
    settings.EMAIL_BACKEND, settings.EMAIL_USE_SSL = email.SMTP, True
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.EMAIL_HOST_USER = ""
    try:
        BACKEND.send(make_message(), ANNA, {})
    finally:
        server.down()

    assert len(server.inbox) == 1


class TlsServer(MailServer):
    is_wrapped = True


@pytest.mark.parametrize("goodbye", ["", "221 " + "bye " * 5000])
def test_a_server_that_does_not_say_goodbye_properly_has_taken_the_mail(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch, goodbye: str
) -> None:
    monkeypatch.setattr(email, "SECONDS", 2)
    mail_server.goodbye = goodbye

    assert BACKEND.send(make_message(), ANNA, {}).answer
    assert len(mail_server.inbox) == 1


def test_another_mail_backend_of_djangos_is_used_as_it_is(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    BACKEND.send(replace(make_message(), html=""), ANNA, {})

    (sent,) = mail.outbox
    assert sent.to == [ANNA]
    assert sent.message().get_content_type() == "text/plain"


def test_readers_get_mail_at_their_own_address_and_staff_at_the_channels() -> None:
    reader = Reader(email="anna@example.org", contact_email="mother@example.org")
    librarian = Reader(email="maria@example.org", is_staff=True)
    desk = {"to": "desk@example.org"}

    assert BACKEND.address({}, reader) == reader.notice_email == "mother@example.org"
    assert BACKEND.address(desk, reader) == "mother@example.org"
    assert BACKEND.address(desk, None) == "desk@example.org"
    assert BACKEND.address(desk, librarian) == "desk@example.org"
    assert BACKEND.address({}, librarian) == "maria@example.org"
    assert BACKEND.address({}, Reader()) == ""
    assert BACKEND.address({}, None) == ""


def test_the_form_takes_one_address_or_none() -> None:
    assert EmailForm({"to": ""}).is_valid()
    assert EmailForm({"to": "desk@example.org"}).is_valid()
    assert not EmailForm({"to": "desk@example.org, eve@example.com"}).is_valid()
    assert not EmailForm({"to": "desk@example.org\nBcc: eve@example.com"}).is_valid()
