"""Which notices readers get: the optional ones they may decline, on their page in the admin too."""

from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from alerts import dispatch, outbox, preferences, samples
from alerts.events import EventKind
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus
from alerts.preferences import NotOptionalError
from circulation.models import Reader
from tests.factories import make_copy, make_member, make_staff
from tests.office import as_superuser, page, signed_in

pytestmark = pytest.mark.django_db

OPTIONAL = [kind.value for kind in preferences.optional_kinds()]


@pytest.fixture
def librarian() -> Client:
    return signed_in(make_member("Librarian"))


def form_of(client: Client, reader: Reader) -> dict[str, Any]:
    """Return what a browser would send back of the reader's page, hidden fields included."""
    form = client.get(page(reader, "change")).context["adminform"].form
    data: dict[str, Any] = {}
    for field in form:
        if (value := field.value()) not in (None, False):
            data[field.html_name] = value
            if field.field.show_hidden_initial:
                data[field.html_initial_name] = value
    return data


def make_only_channel(*kinds: EventKind) -> None:
    Channel.objects.update(is_active=False)
    readers = ChannelAudience.READERS
    Channel.objects.create(name="Sink", backend="console", audience=readers, kinds=kinds)


def declined(reader: Reader) -> list[str]:
    return Reader.objects.get(pk=reader.pk).declined_notices


def test_a_reader_gets_every_notice_until_he_declines_it(anna: Reader) -> None:
    assert preferences.accepted_kinds(anna) == preferences.optional_kinds()
    preferences.decline(anna, EventKind.NEW_BOOK)
    assert declined(anna) == anna.declined_notices == ["NEW_BOOK"]
    assert preferences.declines(anna, EventKind.NEW_BOOK)
    assert EventKind.NEW_BOOK not in preferences.accepted_kinds(anna)
    preferences.decline(anna, EventKind.LOAN_CREATED)
    preferences.accept(anna, EventKind.NEW_BOOK)
    assert declined(anna) == ["LOAN_CREATED"]


@pytest.mark.parametrize("kind", [EventKind.LOAN_OVERDUE, EventKind.JOB_FAILED])
def test_what_is_not_optional_is_not_declined(anna: Reader, kind: EventKind) -> None:
    with pytest.raises(NotOptionalError):
        preferences.decline(anna, kind)
    with pytest.raises(NotOptionalError):
        preferences.accept(anna, kind)
    anna.declined_notices = [kind.value]
    assert not preferences.declines(anna, kind)


def test_a_choice_is_written_over_no_other_change(anna: Reader) -> None:
    Reader.objects.filter(pk=anna.pk).update(phone="123", declined_notices=["NEW_BOOK"])
    preferences.decline(anna, EventKind.LOAN_CREATED)
    now = Reader.objects.get(pk=anna.pk)
    assert (now.phone, now.declined_notices) == ("123", ["NEW_BOOK", "LOAN_CREATED"])


def test_the_same_choice_twice_is_one_line_in_the_audit(anna: Reader, maria: Reader) -> None:
    before = anna.history.count()
    for _time in range(2):
        preferences.decline(anna, EventKind.NEW_BOOK, by=maria, reason="She asked for it.")
    assert anna.history.count() == before + 1
    newest = anna.history.latest()
    assert (newest.history_user, newest.history_change_reason) == (maria, "She asked for it.")


def test_what_is_declined_is_not_sent_and_says_why(anna: Reader) -> None:
    kinds = [EventKind.LOAN_CREATED, EventKind.LOAN_RENEWED]
    make_only_channel(*kinds)
    preferences.decline(anna, EventKind.LOAN_CREATED)
    for kind in kinds:
        outbox.record(kind, make_copy(), reader=anna, **samples.DATA[kind])
    dispatch.fan_out()
    dispatch.send_due()
    skipped, sent = Delivery.objects.order_by("kind")
    assert (skipped.status, sent.status) == (DeliveryStatus.SKIPPED, DeliveryStatus.SENT)
    assert "does not want" in skipped.note


def test_a_notice_that_waits_is_not_sent_once_its_kind_is_declined(anna: Reader) -> None:
    kind = EventKind.LOAN_CREATED
    make_only_channel(kind)
    outbox.record(kind, make_copy(), reader=anna, **samples.DATA[kind])
    dispatch.fan_out()
    preferences.decline(anna, kind)
    dispatch.send_due()
    assert Delivery.objects.get().status == DeliveryStatus.SKIPPED


# On the reader's page


def test_a_librarian_chooses_for_a_reader_in_words(librarian: Client, anna: Reader) -> None:
    text = librarian.get(page(anna, "change")).text
    for kind in preferences.optional_kinds():
        assert escape(str(kind.label)) in text
    assert 'value="LOAN_OVERDUE"' not in text
    data = form_of(librarian, anna)
    data["notices"] = [kind for kind in OPTIONAL if kind != "LOAN_DUE_SOON"]
    assert librarian.post(page(anna, "change"), data).status_code == 302
    assert declined(anna) == ["LOAN_DUE_SOON"]
    history = " ".join(as_superuser().get(page(anna, "history")).text.split())
    assert "Notices declined:</strong> – → Loan due soon" in history
    assert "Librarian Nowak" in history
    data = form_of(librarian, anna)
    assert "LOAN_DUE_SOON" not in data["notices"]
    librarian.post(page(anna, "change"), {**data, "notices": OPTIONAL})
    assert declined(anna) == []


def test_all_may_be_declined(librarian: Client, anna: Reader) -> None:
    data = form_of(librarian, anna)
    del data["notices"]
    assert librarian.post(page(anna, "change"), data).status_code == 302
    assert sorted(declined(anna)) == sorted(OPTIONAL)


@pytest.mark.parametrize("forged", ["LOAN_OVERDUE", "JOB_FAILED", "nonsense"])
def test_other_kinds_are_refused(librarian: Client, anna: Reader, forged: str) -> None:
    data = {**form_of(librarian, anna), "notices": [forged]}
    assert librarian.post(page(anna, "change"), data).status_code == 200
    assert declined(anna) == []


def test_a_page_opened_before_a_reader_declined_does_not_undo_it(
    librarian: Client, anna: Reader
) -> None:
    data = form_of(librarian, anna)
    preferences.decline(anna, EventKind.NEW_BOOK)
    librarian.post(page(anna, "change"), {**data, "phone": "123"})
    now = Reader.objects.get(pk=anna.pk)
    assert (now.phone, now.declined_notices) == ("123", ["NEW_BOOK"])


def test_a_form_without_the_boxes_changes_none(librarian: Client, anna: Reader) -> None:
    preferences.decline(anna, EventKind.NEW_BOOK)
    data = {key: value for key, value in form_of(librarian, anna).items() if "notices" not in key}
    assert librarian.post(page(anna, "change"), data).status_code == 302
    assert declined(anna) == ["NEW_BOOK"]


def test_those_who_only_look_read_it_in_words(anna: Reader) -> None:
    preferences.decline(anna, EventKind.LOAN_CREATED)
    permissions = ("circulation.view_reader", "circulation.view_personal_data")
    client = signed_in(make_staff("Ola", permissions=permissions))
    text = client.get(page(anna, "change")).text
    assert "Loan due soon, " in text
    assert "Book lent" not in text
    client.post(page(anna, "change"), {"notices": OPTIONAL})
    assert declined(anna) == ["LOAN_CREATED"]


def test_a_new_reader_is_asked_nothing_and_gets_them_all(librarian: Client) -> None:
    assert 'name="notices"' not in librarian.get(page(Reader, "add")).text
    librarian.post(page(Reader, "add"), {"first_name": "Ewa", "last_name": "Lis"})
    assert Reader.objects.get(first_name="Ewa").declined_notices == []


def test_the_notices_of_a_colleague_can_be_chosen_as_well(librarian: Client) -> None:
    colleague = make_staff("Ola")
    data = {**form_of(librarian, colleague), "notices": ["NEW_BOOK"]}
    assert librarian.post(page(colleague, "change"), data).status_code == 302
    assert "NEW_BOOK" not in declined(colleague)
