"""Loans for another program that tells readers: each is told by it or by Carrel, never by both."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from alerts import dispatch, tasks
from alerts.backends.base import TryLaterError
from alerts.models import Delivery, Event
from circulation import desk, integration_keys, notices, undo
from circulation import tasks as jobs
from circulation.models import Loan, LoanPolicy, Reader
from tests.api import client_for, reasons, wrong_fields
from tests.factories import (
    lend,
    lend_until,
    make_copy,
    make_member,
    make_reader,
    make_staff,
    march,
    noon,
    take_back,
)
from tests.sinks import Memory, make_channel

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule", "sink")]

TODAY = march(17)  # a Tuesday
OVERDUE, DUE_SOON = "overdue", "due_soon"
DUE = {OVERDUE: march(16), DUE_SOON: march(19)}


@pytest.fixture(autouse=True)
def today() -> Iterator[None]:
    with time_machine.travel(noon(TODAY), tick=False):
        yield


@pytest.fixture
def scheduler(db: None) -> Reader:
    """An account of another program, with no more than it needs."""
    needed = (
        "circulation.view_loan",
        "circulation.mark_notified",
        "circulation.view_personal_data",
    )
    return make_staff("Scheduler", permissions=needed)


def required(caller: Reader, kind: str) -> list[int]:
    answer = client_for(caller).get(f"/api/loans/notification-required?type={kind}")
    assert answer.status_code == 200, answer.content
    rows = answer.json()["results"]
    assert {row["notification_type"] for row in rows} <= {kind}
    assert not any(row["notification_sent"] for row in rows)
    return [row["loan_id"] for row in rows]


def mark(caller: Reader, loan: Loan, **sent: Any) -> Any:
    return client_for(caller).patch(f"/api/loans/{loan.pk}", {"notification_sent": True, **sent})


def run_jobs(on: date) -> None:
    jobs.notify_due_soon(on)
    jobs.notify_overdue(on)


def test_a_row_has_all_that_a_message_needs(anna: Reader, scheduler: Reader) -> None:
    loan = lend_until(march(11), anna, make_copy(barcode="30001"))
    [row] = client_for(scheduler).get("/api/loans/overdue").json()["results"]
    message = row.pop("message")
    assert row == {
        "id": loan.pk,
        "loan_id": loan.pk,
        "recipient_id": anna.pk,
        "recipient_email": anna.email,
        "recipient_name": "Anna Nowak",
        "book_title": "Solaris",
        "barcode": "30001",
        "due_date": "2026-03-11",
        "days_overdue": 6,
        "is_active": True,
        "notification_type": OVERDUE,
        "notification_sent": False,
        "subject": "Overdue: “Solaris”",
    }
    assert "Solaris" in message
    assert "2.50 USD" in message  # five open days


def test_overdue_are_all_that_are_late_the_latest_first(scheduler: Reader) -> None:
    told, later = lend_until(march(5)), lend_until(march(16))
    lend_until(march(17))
    take_back(lend_until(march(6)).copy, on=march(9))
    desk.mark_lost(lend_until(march(7)), on=march(9))
    assert mark(scheduler, told).status_code == 200
    rows = client_for(scheduler).get("/api/loans/overdue/").json()["results"]
    assert [row["loan_id"] for row in rows] == [told.pk, later.pk]
    assert [row["notification_sent"] for row in rows] == [True, False]


class TestRequired:
    def test_of_late_loans_of_which_nobody_has_told(self, scheduler: Reader) -> None:
        late = [lend_until(march(16)), lend_until(march(2))]
        for day in (17, 18):
            lend_until(march(day))
        assert required(scheduler, OVERDUE) == [late[1].pk, late[0].pk]

    def test_of_loans_due_within_two_days(self, scheduler: Reader) -> None:
        soon = [lend_until(march(day)) for day in (17, 18, 19)]
        lend_until(march(20))
        lend_until(march(16))
        assert required(scheduler, DUE_SOON) == [loan.pk for loan in soon]

    def test_not_of_a_loan_for_two_days(self, scheduler: Reader) -> None:
        lend(make_reader(), make_copy(), on=TODAY, due=march(19))
        assert required(scheduler, DUE_SOON) == []

    def test_who_declined_reminders_gets_none_but_of_being_late(
        self, anna: Reader, bartek: Reader, scheduler: Reader
    ) -> None:
        anna.declined_notices = ["LOAN_DUE_SOON"]
        anna.save()
        bartek.declined_notices = ["NEW_BOOK"]
        bartek.save()
        lend_until(march(18), anna)
        due, late = lend_until(march(18), bartek), lend_until(march(16), anna)
        assert required(scheduler, DUE_SOON) == [due.pk]
        assert required(scheduler, OVERDUE) == [late.pk]

    @pytest.mark.parametrize("query", ["", "?type=", "?type=late", "?type=overdue%00", "?page=1"])
    def test_of_no_other_kind(self, query: str, scheduler: Reader) -> None:
        answer = client_for(scheduler).get(f"/api/loans/notification-required{query}")
        assert wrong_fields(answer) == {"type"}

    def test_looking_changes_nothing(self, scheduler: Reader) -> None:
        loan = lend_until(march(16))
        before = Event.objects.count(), loan.history.count()
        client = client_for(scheduler)
        for address in ("overdue", "notification-required?type=overdue", str(loan.pk)):
            assert client.head(f"/api/loans/{address}").status_code == 200
            assert client.get(f"/api/loans/{address}").status_code == 200
        assert before == (Event.objects.count(), loan.history.count())


@pytest.mark.parametrize("kind", [OVERDUE, DUE_SOON])
class TestCarrelAndTheOtherProgram:
    """Whoever comes first tells the reader; the other one leaves it."""

    def test_what_the_other_has_told_is_not_told_by_us(
        self, kind: str, anna: Reader, scheduler: Reader, sink: type[Memory]
    ) -> None:
        make_channel(kinds=["LOAN_OVERDUE", "LOAN_DUE_SOON"])
        loan = lend_until(DUE[kind], anna)
        assert required(scheduler, kind) == [loan.pk]
        row = mark(scheduler, loan).json()
        assert (row["notification_type"], row["notification_sent"]) == (kind, True)
        assert required(scheduler, kind) == []
        for day in (TODAY, TODAY + timedelta(days=1)):
            jobs.notify_due_soon(day)
            jobs.notify_overdue(day) if kind == OVERDUE else None
            jobs.deliver_alerts()
        assert sink.sent == []

    def test_what_waits_here_is_kept_back_when_the_other_was_faster(
        self, kind: str, anna: Reader, scheduler: Reader, sink: type[Memory]
    ) -> None:
        make_channel(kinds=["LOAN_OVERDUE", "LOAN_DUE_SOON"])
        loan = lend_until(DUE[kind], anna)
        run_jobs(TODAY)
        dispatch.fan_out()
        assert mark(scheduler, loan).status_code == 200
        jobs.deliver_alerts()
        run_jobs(TODAY)
        jobs.deliver_alerts()
        assert sink.sent == []
        assert Delivery.objects.get().note == "Another program has told the reader."

    def test_what_we_are_about_to_tell_is_not_asked_of_the_other(
        self, kind: str, anna: Reader, scheduler: Reader, sink: type[Memory]
    ) -> None:
        make_channel(kinds=["LOAN_OVERDUE", "LOAN_DUE_SOON"])
        loan = lend_until(DUE[kind], anna)
        run_jobs(TODAY)
        assert required(scheduler, kind) == []
        dispatch.fan_out()
        assert required(scheduler, kind) == []
        tasks.deliver()
        assert required(scheduler, kind) == []
        jobs.deliver_alerts()
        assert len(sink.sent) == 1
        assert client_for(scheduler).get(f"/api/loans/{loan.pk}").json()["notification_sent"]

    def test_what_we_have_no_way_to_tell_is_left_to_the_other(
        self, kind: str, anna: Reader, scheduler: Reader
    ) -> None:
        make_channel(notices.ChannelAudience.STAFF)
        make_channel(kinds=["LOAN_CREATED"], backend="one_by_one")
        loan = lend_until(DUE[kind], anna)
        run_jobs(TODAY)
        assert required(scheduler, kind) == [loan.pk]
        dispatch.fan_out()
        assert required(scheduler, kind) == [loan.pk]

    def test_a_mark_is_for_one_due_date(
        self, kind: str, anna: Reader, scheduler: Reader, sink: type[Memory]
    ) -> None:
        loan = lend_until(DUE[kind], anna)
        mark(scheduler, loan)
        renewed = desk.renew(loan, on=TODAY)
        later = renewed.loan.expected_return_date + timedelta(days=1 if kind == OVERDUE else -1)
        with time_machine.travel(noon(later), tick=False):
            assert required(scheduler, kind) == [loan.pk]
        undo.undo(renewed.act, on=TODAY)
        assert required(scheduler, kind) == []

    def test_a_mark_may_be_taken_back_and_we_tell_after_all(
        self, kind: str, anna: Reader, scheduler: Reader, sink: type[Memory]
    ) -> None:
        make_channel(kinds=["LOAN_OVERDUE", "LOAN_DUE_SOON"])
        loan = lend_until(DUE[kind], anna)
        run_jobs(TODAY)
        mark(scheduler, loan)
        answer = mark(scheduler, loan, notification_sent=False)
        assert answer.json()["notification_sent"] is False
        assert required(scheduler, kind) == [loan.pk]
        run_jobs(TODAY)
        jobs.deliver_alerts()
        assert len(sink.sent) == 1

    def test_marking_twice_is_marking_once(
        self, kind: str, anna: Reader, scheduler: Reader
    ) -> None:
        loan = lend_until(DUE[kind], anna)
        answers = [mark(scheduler, loan) for _time in range(2)]
        assert answers[0].json() == answers[1].json()
        assert loan.history.count() == 2  # lent, marked
        assert loan.history.latest().history_user == scheduler


def test_our_mark_for_a_notice_of_ours_stops_no_later_step_when_the_other_repeats_it(
    anna: Reader, scheduler: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])
    loan = lend_until(march(16), anna)
    jobs.notify_overdue(TODAY)
    jobs.deliver_alerts()
    assert mark(scheduler, loan).status_code == 200
    jobs.notify_overdue(march(24))
    jobs.deliver_alerts()
    assert len(sink.sent) == 2


def test_what_we_gave_up_is_left_to_the_other(
    anna: Reader, scheduler: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])

    def react(message: object) -> None:
        raise TryLaterError("No such mailbox.")

    sink.reacts = react
    loan = lend_until(march(16), anna)
    jobs.notify_overdue(TODAY)
    tasks.deliver()
    assert required(scheduler, OVERDUE) == []
    Delivery.objects.update(status="DEAD")
    assert required(scheduler, OVERDUE) == [loan.pk]


class TestMarking:
    def test_without_a_kind_it_is_of_what_there_is_to_tell(self, scheduler: Reader) -> None:
        early, late = lend_until(march(25)), lend_until(march(16))
        assert mark(scheduler, early).json()["notification_type"] == DUE_SOON
        assert mark(scheduler, late).json()["notification_type"] == OVERDUE
        early.refresh_from_db()
        assert early.notification_sent is False  # it may be late one day, and is told then

    def test_the_kind_may_be_said(self, scheduler: Reader) -> None:
        late = lend_until(march(16))
        row = mark(scheduler, late, notification_type=DUE_SOON).json()
        assert row["notification_type"] == DUE_SOON
        assert required(scheduler, OVERDUE) == [late.pk]

    def test_a_loan_is_not_late_before_it_is(self, scheduler: Reader) -> None:
        loan = lend_until(march(17))
        answer = mark(scheduler, loan, notification_type=OVERDUE)
        assert reasons(answer) == ["loan_not_overdue"]
        assert answer.json()["detail"] == "This loan is not late: it is due on Tue 17 Mar 2026."

    def test_a_loan_that_is_over_is_not_marked(self, scheduler: Reader) -> None:
        returned, lost = lend_until(march(16)), lend_until(march(16))
        take_back(returned.copy, on=TODAY)
        desk.mark_lost(lost, on=TODAY)
        for loan in (returned, lost):
            assert reasons(mark(scheduler, loan)) == ["loan_not_open"]
            row = client_for(scheduler).get(f"/api/loans/{loan.pk}/").json()
            assert (row["is_active"], row["notification_sent"]) == (False, False)

    @pytest.mark.parametrize(
        ("sent", "fields"),
        [
            ({}, {"notification_sent"}),
            ({"notification_sent": "perhaps"}, {"notification_sent"}),
            ({"notification_sent": None}, {"notification_sent"}),
            ({"notification_sent": True, "notification_type": "late"}, {"notification_type"}),
            ([], {""}),
        ],
    )
    def test_bad_input_is_told_by_field(
        self, sent: Any, fields: set[str], scheduler: Reader
    ) -> None:
        loan = lend_until(march(16))
        answer = client_for(scheduler).patch(f"/api/loans/{loan.pk}/", sent)
        assert wrong_fields(answer) == fields

    def test_an_empty_form_marks_nothing(self, scheduler: Reader) -> None:
        loan = lend_until(march(16))
        mark(scheduler, loan)
        answer = client_for(scheduler).patch(
            f"/api/loans/{loan.pk}", "", content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code in (400, 415)
        loan.refresh_from_db()
        assert loan.notification_sent

    @pytest.mark.parametrize("number", ["0", "999999", "9" * 30])
    def test_a_number_that_no_loan_has_is_not_found(self, number: str, scheduler: Reader) -> None:
        client = client_for(scheduler)
        assert client.get(f"/api/loans/{number}").status_code == 404
        sent = {"notification_sent": True}
        assert client.patch(f"/api/loans/{number}", sent).status_code == 404


class TestWhoMay:
    ADDRESSES = ("/api/loans/overdue", "/api/loans/notification-required?type=overdue")

    @pytest.mark.parametrize(
        ("role", "status"),
        [("Librarian", 200), ("Assistant", 403), ("Auditor", 403)],
    )
    def test_roles_see_all_and_librarians_mark(self, role: str, status: int) -> None:
        loan, member = lend_until(march(16)), make_member(role)
        for address in (*self.ADDRESSES, f"/api/loans/{loan.pk}"):
            assert client_for(member).get(address).status_code == 200
        assert mark(member, loan).status_code == status

    def test_a_cashier_sees_nothing_of_it(self) -> None:
        loan, client = lend_until(march(16)), client_for(make_member("Cashier"))
        for address in (*self.ADDRESSES, f"/api/loans/{loan.pk}"):
            assert client.get(address).status_code == 403

    @pytest.mark.parametrize(
        ("role", "email"), [("Librarian", "anna@example.org"), ("Auditor", "")]
    )
    def test_addresses_are_for_who_writes_to_readers(
        self, role: str, email: str, anna: Reader
    ) -> None:
        Reader.objects.filter(pk=anna.pk).update(email="anna@example.org", contact_email="")
        loan, client = lend_until(march(16), anna), client_for(make_member(role))
        assert client.get(f"/api/loans/{loan.pk}").json()["recipient_email"] == email
        (row,) = client.get("/api/loans/overdue").json()["results"]
        assert row["recipient_email"] == email

    def test_readers_see_nothing_of_it_not_even_of_their_own(self, anna: Reader) -> None:
        loan = lend_until(march(16), anna)
        for caller, status in ((anna, 403), (None, 401)):
            client = client_for(caller)
            for address in (*self.ADDRESSES, f"/api/loans/{loan.pk}"):
                assert client.get(address).status_code == status
            sent = {"notification_sent": True}
            assert client.patch(f"/api/loans/{loan.pk}", sent).status_code == status
        loan.refresh_from_db()
        assert loan.notification_sent is False

    def test_another_system_with_a_key_for_notices_sees_and_marks(self, maria: Reader) -> None:
        loan = lend_until(march(16))
        _key, text = integration_keys.make("Cron", ["notices"], by=maria, at=noon(TODAY))
        client = client_for()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        for address in self.ADDRESSES:
            assert len(client.get(address).json()["results"]) == 1
        answer = client.patch(f"/api/loans/{loan.pk}", {"notification_sent": True})
        assert answer.json()["notification_sent"] is True
        assert loan.history.latest().history_user is None
        assert client.get("/api/borrowings/").json()["count"] == 1
        assert client.post(f"/api/borrowings/{loan.pk}/return/", {}).status_code == 403
        assert client.get("/api/holds/").status_code == 403
        assert client.get("/api/payments/").status_code == 403
        assert client.get("/api/users/me/account/").status_code == 403


def test_pages_ask_the_database_the_same_however_many_are_on_them(
    scheduler: Reader, rule: LoanPolicy, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_channel(kinds=["LOAN_OVERDUE", "LOAN_DUE_SOON"])
    client = client_for(scheduler)
    # The caller and permissions (three); the loans, which are all there are; the calendar (two);
    # where it is asked what is required, also the channels.
    asked = {"overdue": 6, "notification-required?type=overdue": 7}
    asked["notification-required?type=due_soon"] = 5
    for count in (1, 4):
        while Loan.objects.count() < 2 * count:
            lend_until(march(16))
            lend_until(march(18))
        for address, queries in asked.items():
            with django_assert_num_queries(queries):
                rows = client.get(f"/api/loans/{address}").json()["results"]
            assert len(rows) == count
