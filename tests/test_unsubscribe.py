"""The link in a message that ends messages of its kind: one click, no sign-in, nothing told."""

from urllib.parse import urlsplit

import pytest
from django.core import signing
from django.test import Client

from alerts import preferences, texts
from alerts.events import KINDS, Audience, EventKind
from alerts.models import Channel, ChannelAudience, Delivery, Event
from alerts.samples import DATA
from circulation.models import Reader

pytestmark = pytest.mark.django_db

ONE_CLICK = {"List-Unsubscribe": "One-Click"}  # RFC 8058, section 3.1
DUE_SOON = EventKind.LOAN_DUE_SOON


@pytest.fixture
def visitor() -> Client:
    """Somebody who is not signed in, with Django's checks of forms as on a real site."""
    return Client(enforce_csrf_checks=True)


def path(reader: Reader, kind: EventKind = DUE_SOON) -> str:
    return urlsplit(preferences.link(reader, kind)).path


def declined(reader: Reader) -> list[str]:
    return Reader.objects.get(pk=reader.pk).declined_notices


def test_opening_the_link_only_asks(visitor: Client, anna: Reader) -> None:
    response = visitor.get(path(anna))
    assert response.status_code == 200
    assert "messages of the kind “Loan due soon”" in response.text
    assert '<form method="post"><button name="act" value="stop">' in response.text
    assert visitor.head(path(anna)).status_code == 200
    assert declined(anna) == []


def test_the_button_stops_them_and_another_turns_them_on_again(
    visitor: Client, anna: Reader
) -> None:
    response = visitor.post(path(anna), {"act": "stop"})
    assert declined(anna) == ["LOAN_DUE_SOON"]
    for page in (response, visitor.get(path(anna))):
        assert "You get no more messages" in page.text
        assert 'value="start"' in page.text
    response = visitor.post(path(anna), {"act": "start"})
    assert declined(anna) == []
    assert "Turned on again" in response.text
    assert 'value="stop"' in response.text


@pytest.mark.parametrize("slash", ["/", ""])
def test_a_mail_program_presses_the_button_itself(
    visitor: Client, anna: Reader, slash: str
) -> None:
    """Without cookies or a token of a form, and without being sent elsewhere."""
    response = visitor.post(path(anna).rstrip("/") + slash, ONE_CLICK)
    assert response.status_code == 200
    assert not response.cookies
    assert declined(anna) == ["LOAN_DUE_SOON"]
    visitor.post(path(anna), b"", content_type="text/plain")
    assert declined(anna) == ["LOAN_DUE_SOON"]


def test_the_page_says_nothing_about_the_person(visitor: Client, anna: Reader) -> None:
    for response in (visitor.get(path(anna)), visitor.post(path(anna), ONE_CLICK)):
        for secret in (anna.first_name, anna.last_name, anna.email, anna.card_number):
            assert str(secret) not in response.text
        assert "no-store" in response["Cache-Control"]
        assert "noindex" in response.text


def test_one_link_is_for_one_reader_and_one_kind(
    visitor: Client, anna: Reader, bartek: Reader
) -> None:
    visitor.post(path(anna), ONE_CLICK)
    visitor.post(path(anna, EventKind.NEW_BOOK), ONE_CLICK)
    assert (declined(anna), declined(bartek)) == (["LOAN_DUE_SOON", "NEW_BOOK"], [])


def test_the_audit_says_that_it_was_by_the_link(visitor: Client, anna: Reader) -> None:
    before = anna.history.count()
    for _time in range(2):
        visitor.post(path(anna), ONE_CLICK)
    newest = anna.history.latest()
    assert anna.history.count() == before + 1
    assert (newest.history_user, newest.history_change_reason) == (
        None,
        "By the link in a message.",
    )


def test_the_audit_names_nobody_who_is_signed_in_by_chance(anna: Reader, maria: Reader) -> None:
    client = Client()
    client.force_login(maria)
    client.post(path(anna), ONE_CLICK)
    assert anna.history.latest().history_user is None


def signed(text: str) -> str:
    return signing.Signer(salt="alerts.unsubscribe").sign(text)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "1.LOAN_DUE_SOON",
        "1.LOAN_DUE_SOON:forged",
        signing.Signer(salt="billing.pay-link").sign("1.LOAN_DUE_SOON"),
        signed("999999.LOAN_DUE_SOON"),
        signed("1.LOAN_OVERDUE"),
        signed("1.JOB_FAILED"),
        signed("1.NO_KIND_ANY_MORE"),
        "%00",
        "x" * 3000,
    ],
)
def test_a_link_that_is_not_ours_does_nothing_and_says_so(visitor: Client, token: str) -> None:
    Reader.objects.create(pk=1, first_name="Anna")
    for response in (
        visitor.get(f"/notices/unsubscribe/{token}/"),
        visitor.post(f"/notices/unsubscribe/{token}/", ONE_CLICK),
    ):
        assert response.status_code == 404
        assert "This link is not complete" in response.text
    assert Reader.objects.get(pk=1).declined_notices == []


def test_a_link_is_good_for_ever_and_for_who_is_switched_off(visitor: Client, anna: Reader) -> None:
    link = path(anna)
    Reader.objects.filter(pk=anna.pk).update(is_active=False, email="other@example.org")
    visitor.post(link, ONE_CLICK)
    assert declined(anna) == ["LOAN_DUE_SOON"]


def test_other_methods_are_refused(visitor: Client, anna: Reader) -> None:
    assert visitor.delete(path(anna)).status_code == 405
    assert visitor.put(path(anna)).status_code == 405


@pytest.mark.parametrize("kind", EventKind)
def test_what_may_be_declined_brings_its_link(kind: EventKind, anna: Reader, maria: Reader) -> None:
    event = Event(kind=kind, subject="circulation.loan:1", reader=anna, data=DATA[kind])
    to_reader = Delivery(
        event=event,
        kind=kind,
        channel=Channel(audience=ChannelAudience.READERS),
        recipient=anna,
    )
    to_staff = Delivery(
        event=event, kind=kind, channel=Channel(audience=ChannelAudience.STAFF), recipient=maria
    )
    about = KINDS[kind]
    if Audience.READER in about.audience:
        message = texts.message_for([to_reader])
        link = preferences.link(anna, kind) if about.is_optional else ""
        assert message.unsubscribe_url == link
        assert ("Turn off messages" in message.text) == about.is_optional
        assert (f'<a href="{link}">' in message.html) == about.is_optional
        assert link in message.text
    if Audience.STAFF in about.audience:
        message = texts.message_for([to_staff])
        assert message.unsubscribe_url == ""
        assert "unsubscribe" not in message.text + message.html
