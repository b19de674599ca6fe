"""Deliveries and events in the admin: what was told to whom, what came of it, and sending again."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from alerts import replay
from alerts.claims import claim
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus, Event
from circulation.models import Loan, Reader
from tests.factories import lend, make_copy, make_member, make_reader, make_staff
from tests.office import act_on, act_on_page, as_superuser, page, said, signed_in
from tests.test_admin_pages import EVIL, assert_no_query_breaks, queries

pytestmark = pytest.mark.django_db

MESSAGE = UUID(int=7)


@pytest.fixture
def channel() -> Channel:
    return Channel.objects.create(
        name="Log", backend="console", audience=ChannelAudience.READERS, kinds=["LOAN_OVERDUE"]
    )


def make_delivery(channel: Channel, **fields: Any) -> Delivery:
    key = str(uuid4())
    event = fields.pop("event", None) or Event.objects.create(
        kind="LOAN_OVERDUE", subject="circulation.loan:1", key=key, fanned_out_at=timezone.now()
    )
    fields.setdefault("kind", event.kind)
    return Delivery.objects.create(event=event, channel=channel, key=key, **fields)


def make_dead(channel: Channel, **fields: Any) -> Delivery:
    return make_delivery(
        channel,
        status=DeliveryStatus.DEAD,
        attempts=10,
        note="The far end answered with 500.",
        finished_at=timezone.now(),
        **{"message_id": uuid4(), **fields},
    )


def listed(client: Client, model: type[Model], query: str = "") -> list[Any]:
    return list(client.get(f"{page(model, 'changelist')}?{query}").context["cl"].result_list)


def test_the_list_says_to_whom_how_often_and_what_came_of_it(channel: Channel) -> None:
    make_dead(channel, recipient=make_reader("Anna", last_name="Zielińska"))
    text = as_superuser().get(page(Delivery, "changelist")).text
    for words in ("Loan overdue", "Given up", "Zielińska", "Log", "answered with 500"):
        assert words in text


def test_who_may_not_see_readers_does_not_see_who_was_told(channel: Channel) -> None:
    reader = make_reader("Anna", last_name="Zielińska")
    event = Event.objects.create(
        kind="LOAN_OVERDUE", subject="circulation.loan:1", key="x", reader=reader
    )
    delivery = make_delivery(channel, event=event, recipient=reader)
    tester = make_staff(permissions=("alerts.view_delivery", "alerts.view_event"))
    client = signed_in(tester)
    pages = [page(Delivery, "changelist"), page(delivery, "change")]
    pages += [page(Event, "changelist"), page(event, "change")]
    for url in pages:
        response = client.get(url)
        assert response.status_code == 200
        assert "Zielińska" not in response.text, url
    assert listed(client, Delivery, f"q={reader.card_number}") == []
    assert "Zielińska" in as_superuser().get(page(event, "change")).text


def test_deliveries_are_found_by_status_kind_channel_message_and_card(channel: Channel) -> None:
    anna = make_reader("Anna")
    dead = make_dead(channel, message_id=MESSAGE)
    hers = make_delivery(channel, recipient=anna)
    client = as_superuser()
    assert listed(client, Delivery, "status__exact=DEAD") == [dead]
    assert listed(client, Delivery, f"q={MESSAGE}") == [dead]
    assert listed(client, Delivery, f"q={anna.card_number}") == [hers]
    assert listed(client, Delivery, "q=nonsense") == []
    assert listed(client, Delivery, "kind__exact=NEW_BOOK") == []
    assert listed(client, Delivery, f"channel__id__exact={channel.pk}") == [hers, dead]


@pytest.mark.parametrize("model", [Delivery, Event, Channel])
def test_no_list_breaks_whatever_is_asked_of_it(model: type[Model], channel: Channel) -> None:
    make_delivery(channel)
    client = as_superuser()
    assert_no_query_breaks(client, model)


def test_longer_lists_ask_no_more_queries(channel: Channel) -> None:
    client = as_superuser()

    def grow(count: int) -> list[int]:
        for number in range(count):
            reader = make_reader()
            event = Event.objects.create(
                kind="LOAN_OVERDUE", subject="circulation.loan:1", key=str(uuid4()), reader=reader
            )
            delivery = make_delivery(channel, event=event, recipient=reader, message_id=MESSAGE)
            Channel.objects.create(
                name=f"{count} {number}", backend="console", audience="STAFF", owner=reader
            )
        pages = [page(model, "changelist") for model in (Delivery, Event, Channel)]
        pages += [page(delivery, "change"), page(event, "change"), page(channel, "change")]
        return [queries(client, url) for url in pages]

    assert grow(3) == grow(25)


def test_a_page_shows_what_else_was_told_in_the_same_message(channel: Channel) -> None:
    first, second = (make_dead(channel, message_id=MESSAGE) for _number in range(2))
    text = as_superuser().get(page(first, "change")).text
    assert "Told in the same message" in text
    assert page(second, "change") in text


def test_nothing_that_was_told_can_be_changed_or_deleted(channel: Channel) -> None:
    delivery, client = make_dead(channel), as_superuser()
    for row in (delivery, delivery.event):
        assert client.post(page(row, "change"), {"note": "x"}).status_code == 403
        assert client.post(page(row, "delete"), {"confirmed": "yes"}).status_code == 403
    assert client.get(page(Delivery, "add")).status_code == 403


def test_what_was_given_up_is_sent_again_with_all_attempts_and_the_same_id(
    channel: Channel,
) -> None:
    dead = make_dead(channel, message_id=MESSAGE)
    response = act_on_page(as_superuser(), "send_again", dead)
    assert "It is sent again." in said(response)
    dead.refresh_from_db()
    assert (dead.status, dead.attempts, dead.note) == (DeliveryStatus.QUEUED, 0, "")
    assert (dead.message_id, dead.finished_at) == (MESSAGE, None)
    (group,) = claim(at=timezone.now())
    assert [row.pk for row in group.deliveries] == [dead.pk]


def test_each_is_sent_again_only_once(channel: Channel) -> None:
    dead = make_dead(channel)
    as_read_by_another = Delivery.objects.get(pk=dead.pk)
    replay.send_again(dead)
    Delivery.objects.update(attempts=4)
    with pytest.raises(replay.ReplayRefusedError, match="waits to be sent already"):
        replay.send_again(as_read_by_another)
    assert Delivery.objects.get().attempts == 4


def test_the_rows_of_one_message_become_one_message_again(channel: Channel) -> None:
    reader = make_reader()
    rows = [make_dead(channel, recipient=reader, message_id=MESSAGE) for _number in range(3)]
    other = make_dead(channel, recipient=reader)
    response = act_on_page(as_superuser(), "send_again", rows[0])
    assert "with all 3 of its message" in said(response)
    (group,) = claim(at=timezone.now())
    assert {row.pk for row in group.deliveries} == {row.pk for row in rows}
    other.refresh_from_db()
    assert other.status == DeliveryStatus.DEAD


def test_many_are_sent_again_from_the_list_and_each_is_reported(channel: Channel) -> None:
    dead = make_dead(channel)
    sent = make_delivery(channel, status=DeliveryStatus.SENT)
    client = as_superuser()
    assert "It is tried anew" in act_on(client, "send_again", dead, sent, confirmed=False).text
    answer = said(act_on(client, "send_again", dead, sent))
    assert "It is sent again." in answer
    assert "Only what was given up is sent again; this is: Sent." in answer
    sent.refresh_from_db()
    assert sent.status == DeliveryStatus.SENT


def test_nothing_is_sent_again_by_a_channel_that_sends_nothing(channel: Channel) -> None:
    dead = make_dead(channel)
    Channel.objects.update(is_active=False)
    assert "is switched off" in said(act_on_page(as_superuser(), "send_again", dead))
    Channel.objects.update(is_active=True, backend="email")
    assert "set EMAIL_URL" in said(act_on_page(as_superuser(), "send_again", dead))
    dead.refresh_from_db()
    assert dead.status == DeliveryStatus.DEAD


def test_sending_again_is_offered_only_where_it_makes_sense_and_to_who_may(
    channel: Channel,
) -> None:
    dead, sent = make_dead(channel), make_delivery(channel, status=DeliveryStatus.SENT)
    client = as_superuser()
    assert page(dead, "send_again") in client.get(page(dead, "change")).text
    assert page(sent, "send_again") not in client.get(page(sent, "change")).text
    auditor = signed_in(make_member("Auditor"))
    assert page(dead, "send_again") not in auditor.get(page(dead, "change")).text
    assert act_on_page(auditor, "send_again", dead).status_code == 403
    librarian = signed_in(make_member("Librarian"))
    assert "It is sent again." in said(act_on_page(librarian, "send_again", dead))


def make_loan_event(**fields: Any) -> tuple[Loan, Event]:
    loan = lend(make_reader("Anna", last_name="Zielińska"), make_copy())
    event = Event.objects.create(
        kind="LOAN_OVERDUE",
        subject=f"circulation.loan:{loan.pk}",
        key="one",
        reader=loan.reader,
        data={"book_title": EVIL, "due_date": "2026-03-16", "author": ""},
        **fields,
    )
    return loan, event


def test_an_event_shows_what_was_recorded_and_links_to_what_it_is_about(
    rule: Any, channel: Channel
) -> None:
    loan, event = make_loan_event()
    delivery = make_delivery(channel, event=event)
    text = as_superuser().get(page(event, "change")).text
    assert page(loan, "change") in text
    assert page(loan.reader, "change") in text
    assert page(delivery, "change") in text
    assert "2026-03-16" in text
    assert "<script>alert(1)" not in text
    assert "Waits to be handed on" in text


def test_an_event_that_was_cancelled_says_why(rule: Any) -> None:
    _loan, event = make_loan_event(
        cancelled_at=timezone.now(), cancel_reason="The book was returned."
    )
    for url in (page(event, "change"), page(Event, "changelist")):
        assert "The book was returned." in as_superuser().get(url).text


def test_events_about_what_is_gone_or_has_no_page_are_shown(db: None) -> None:
    for number, subject in enumerate(("circulation.nothing:1", "oddity", "alerts.pace:x", "")):
        Event.objects.create(kind="JOB_FAILED", subject=subject, key=str(number))
    client = as_superuser()
    assert client.get(page(Event, "changelist")).status_code == 200
    for event in Event.objects.all():
        assert client.get(page(event, "change")).status_code == 200


def test_events_are_found_by_state_and_by_what_they_are_about(db: None) -> None:
    now = timezone.now()
    waiting = Event.objects.create(kind="JOB_FAILED", subject="config.jobrun:1", key="1")
    told = Event.objects.create(kind="NEW_BOOK", subject="x:1", key="2", fanned_out_at=now)
    over = Event.objects.create(
        kind="NEW_BOOK", subject="x:11", key="3", fanned_out_at=now, cancelled_at=now
    )
    client = as_superuser()
    assert listed(client, Event, "state=waiting") == [waiting]
    assert listed(client, Event, "state=handed_on") == [over, told]
    assert listed(client, Event, "state=cancelled") == [over]
    assert listed(client, Event, "q=x:1") == [told]


def test_the_next_attempt_is_shown_only_of_what_waits(channel: Channel) -> None:
    later = timezone.now() + timedelta(days=400)
    make_delivery(channel, next_attempt_at=later)
    client = as_superuser()
    assert str(later.year) in client.get(page(Delivery, "changelist")).text
    Delivery.objects.update(status=DeliveryStatus.SENT)
    assert str(later.year) not in client.get(page(Delivery, "changelist")).text


def test_an_owner_sees_the_latest_messages_of_her_channel(channel: Channel) -> None:
    ola: Reader = make_staff("Ola", permissions=("alerts.add_channel",))
    Channel.objects.update(owner=ola)
    delivery = make_dead(channel)
    text = signed_in(ola).get(page(channel, "change")).text
    assert "answered with 500" in text
    assert page(delivery, "change") not in text
