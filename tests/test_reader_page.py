"""The reader's page: what each tab shows, to whom, how much of it, and renewing from it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from alerts.backoffice.pages import code
from alerts.events import EventKind
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus, Event
from billing import charges
from circulation import desk, holds, reader_page, reader_tables
from circulation.models import Loan, Override, Reader
from tests.counting import queries_of
from tests.factories import (
    MONDAY,
    lend,
    lend_until,
    make_book,
    make_charge,
    make_copy,
    make_member,
    make_reader,
    make_staff,
    march,
    noon,
    overriding,
    pay_cash,
    set_policy,
    take_back,
)
from tests.office import page, said, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule", "today")]

TABS = [tab.code for tab in reader_page.TABS]
OPEN_TO = {
    "Librarian": TABS,
    "Assistant": TABS,
    "Cashier": ["account", "details"],
    "Auditor": TABS,
}


@pytest.fixture
def today() -> Iterator[None]:
    with time_machine.travel(noon(march(23)), tick=False):
        yield


@pytest.fixture
def librarian(db: None) -> Client:
    return signed_in(make_member("Librarian"))


def url_of(reader: Reader, tab: str) -> str:
    return reader_page.BY_CODE[tab].url(reader)


def text_of(response: Any) -> str:
    text = re.sub(r"<(script|style|template).*?</\1>", " ", response.content.decode(), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text)).replace("\xa0", " ")


def renew(client: Client, reader: Reader, *ticks: str) -> Any:
    return client.post(reverse("admin:circulation_reader_renew", args=[reader.pk]), {"loan": ticks})


def tick(loan: Loan) -> str:
    return f"{loan.pk}:{loan.renewals}"


def make_past(reader: Reader, number: int) -> None:
    """Give a reader this much of everything that a tab lists."""
    book = make_book()
    Loan.objects.bulk_create(
        Loan(
            copy=make_copy(book),
            reader=reader,
            borrow_date=march(2),
            expected_return_date=march(16),
            actual_return_date=march(9),
        )
        for _each in range(number)
    )
    by = make_staff()
    channel, _is_new = Channel.objects.get_or_create(
        name="Post", backend="console", audience=ChannelAudience.READERS
    )
    for place in range(number):
        loan = lend_until(march(16), reader)
        Override.objects.create(loan=loan, block="x", message="Owes", reason="Exam", by=by)
        holds.cancel(holds.place(reader, make_book_with_copy()))
        holds.place(reader, make_book_with_copy())
        charge = make_charge(reader, "2.00")
        pay_cash(charge, "1.00", by=by)
        charges.waive(charge, charges.ZERO + 1, by=by, reason="Ill")
        make_charge(reader, "0.50")
        for is_blocked in (True, False):
            reader.is_blocked, reader.block_reason = is_blocked, "Torn"
            reader.save()
        event = Event.objects.create(
            kind=EventKind.LOAN_OVERDUE, subject="x", key=f"{reader.pk} {number} {place}"
        )
        Delivery.objects.create(
            event=event, channel=channel, recipient=reader, kind=event.kind, key=event.key
        )


def make_book_with_copy() -> Any:
    return make_copy().book


def test_no_tab_asks_more_queries_for_a_long_past(rule: Any) -> None:
    set_policy(max_loans=500, max_holds=500, debt_limit=None)
    reader, client = make_reader(), signed_in(make_member("Librarian"))

    def asked() -> dict[str, int]:
        return {
            tab: queries_of(lambda tab=tab: client.get(url_of(reader, tab)))  # type: ignore[misc]
            for tab in TABS
        }

    make_past(reader, 2)
    asked()
    few = asked()
    make_past(reader, 20)
    assert asked() == few
    assert max(few.values()) <= 12, few


@pytest.mark.parametrize(("role", "tabs"), OPEN_TO.items())
def test_each_role_opens_its_tabs_and_is_offered_no_other(role: str, tabs: list[str]) -> None:
    anna, client = make_reader(), signed_in(make_member(role))
    answers = {tab: client.get(url_of(anna, tab)) for tab in TABS}
    assert [tab for tab, answer in answers.items() if answer.status_code == 200] == tabs
    assert {answer.status_code for answer in answers.values()} <= {200, 403}
    for tab in tabs:
        offered = [shown.url for shown in answers[tab].context["head"].tabs]
        assert offered == [url_of(anna, code) for code in tabs]


def test_a_link_to_a_reader_leads_to_the_first_tab_that_one_may_open() -> None:
    anna = make_reader()
    url = reader_page.reader_url(anna.pk)
    cashier = signed_in(make_member("Cashier"))
    assert cashier.get(url).headers["Location"] == url_of(anna, "account")
    librarian = signed_in(make_member("Librarian"))
    assert librarian.get(url).headers["Location"] == url_of(anna, "loans")
    assert url in librarian.get(page(Reader, "changelist")).text
    lender = signed_in(make_staff(permissions=("circulation.check_out",)))
    assert lender.get(url).status_code == 403


def test_a_reader_who_is_not_there_is_not_found(librarian: Client) -> None:
    for number in ("0", "999999", "9" * 30):
        assert librarian.get(f"/admin/circulation/reader/{number}/loans/").status_code == 404


def test_loans_are_shown_the_first_due_first_with_what_late_ones_cost(librarian: Client) -> None:
    anna = make_reader()
    due_later = lend(anna, make_copy(), on=march(20))
    late = lend_until(march(16), anna)
    shown = librarian.get(url_of(anna, "loans"))
    rows = shown.context["tables"][0].rows
    assert [row[2] for row in rows] == [code(late.copy.barcode), code(due_later.copy.barcode)]
    assert [row[-1] for row in rows] == ["3.00", "–"]
    assert "Loans now 2 · 1 overdue" in text_of(shown)


def test_fines_are_for_those_who_see_charges() -> None:
    anna = make_reader()
    lend_until(march(16), anna)
    staff = make_staff(permissions=("circulation.view_reader", "circulation.view_loan"))
    shown = signed_in(staff).get(url_of(anna, "loans"))
    assert "Fine so far" not in shown.context["tables"][0].headers
    assert "Renew" not in shown.context["tables"][0].headers


def test_past_loans_leave_out_what_was_undone(librarian: Client) -> None:
    anna = make_reader()
    returned = lend_until(march(16), anna)
    take_back(returned.copy, on=march(20))
    undone = lend_until(march(16), anna)
    Loan.objects.filter(pk=undone.pk).update(undone_at=noon(march(3)), actual_return_date=march(3))
    rows = librarian.get(url_of(anna, "past")).context["tables"][0].rows
    assert [row[1] for row in rows] == [code(returned.copy.barcode)]


def test_every_list_leads_to_the_whole(librarian: Client) -> None:
    set_policy(max_loans=50, max_holds=50, debt_limit=None)
    anna = make_reader()
    make_past(anna, 2)
    for tab in TABS[:-1]:
        for table in librarian.get(url_of(anna, tab)).context["tables"]:
            if table.more_url:
                whole = librarian.get(table.more_url)
                assert whole.context["cl"].result_count >= len(table.rows), table.title


def test_lists_are_bounded(librarian: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_tables, "MOST_ROWS", 3)
    anna = make_reader()
    for _number in range(4):
        lend(anna, make_copy(), on=march(20))
    shown = librarian.get(url_of(anna, "loans"))
    assert len(shown.context["tables"][0].rows) == 3
    assert "On loan now: 4, the 3 due first are shown" in text_of(shown)


def test_holds_on_the_shelf_come_first_and_cancelled_ones_below(librarian: Client) -> None:
    anna = make_reader()
    waited_for, kept, given_up = (make_copy() for _number in range(3))
    for copy in (waited_for, kept, given_up):
        lend(make_reader(), copy, on=MONDAY)
        holds.place(anna, copy.book)
    take_back(kept, on=march(23))
    holds.cancel(anna.holds.get(book=given_up.book))
    now, earlier = librarian.get(url_of(anna, "holds")).context["tables"]
    assert [row[3] for row in now.rows] == [code(kept.barcode), "–"]
    assert [row[2] for row in now.rows] == ["–", 1]
    assert len(earlier.rows) == 1
    shown = librarian.get(url_of(anna, "holds"))
    assert "Holds 2 · 1 ready" in text_of(shown)
    place = shown.context["place_url"]
    assert librarian.get(place).context["form"].initial["reader"] == str(anna.pk)


def test_notices_say_what_was_sent_about_which_book_and_where_to(librarian: Client) -> None:
    anna = make_reader(contact_email="parent@example.org", declined_notices=["loan_created"])
    channel = Channel.objects.create(name="Post", backend="console", audience="READERS")
    event = Event.objects.create(
        kind=EventKind.LOAN_OVERDUE, subject="x", key="x", data={"book_title": "Solaris"}
    )
    Delivery.objects.create(
        event=event,
        channel=channel,
        recipient=anna,
        kind=event.kind,
        key="x",
        status=DeliveryStatus.DEAD,
        note="The mailbox is full.",
    )
    text = text_of(librarian.get(url_of(anna, "notices")))
    assert "Notices by email go to parent@example.org." in text
    assert "Solaris Given up Post" in text
    assert "The mailbox is full." in text
    auditor = text_of(signed_in(make_member("Auditor")).get(url_of(anna, "notices")))
    assert "Solaris Given up Post" in auditor
    assert "parent@example.org" not in auditor


def test_blocks_say_what_the_rules_allow_and_who_blocked_and_why() -> None:
    maria = make_member("Librarian", last_name="Zając")
    anna, client = make_reader(), signed_in(maria)
    make_charge(anna, "7.00")
    anna.is_blocked, anna.block_reason, anna._history_user = True, "Torn pages", maria
    anna.save()
    anna.phone = "123"
    anna.save()
    anna.is_blocked, anna.block_reason = False, ""
    anna.save()
    anna.is_blocked, anna.block_reason = True, "Torn again"
    anna.save()
    shown = client.get(url_of(anna, "blocks"))
    text = text_of(shown)
    assert "The reader is blocked: Torn again" in text
    assert "Loans 0 5 within" in text
    assert "Owed 7.00 5.00 may stop lending" in text
    blocked = shown.context["tables"][1].rows
    told = [("Blocked", "Torn again"), ("Block lifted", "–"), ("Blocked", "Torn pages")]
    assert [(row[0], row[1]) for row in blocked] == told
    assert blocked[-1][2] == maria


def test_why_staff_blocked_is_for_those_who_look_after_readers() -> None:
    anna = make_reader(is_blocked=True, block_reason="Torn pages")
    auditor, cashier = (signed_in(make_member(role)) for role in ("Auditor", "Cashier"))
    for shown in (
        *(auditor.get(url_of(anna, tab)) for tab in ("loans", "blocks")),
        cashier.get(url_of(anna, "account")),
    ):
        assert "The reader is blocked." in text_of(shown)
        assert "Torn pages" not in text_of(shown)


def test_what_was_lent_against_the_rules_is_listed_with_the_reason(librarian: Client) -> None:
    anna, maria = make_reader(is_blocked=True, block_reason="Torn"), make_member("Librarian")
    override = overriding("reader_blocked", reason="Has an exam")
    desk.check_out(anna, make_copy(), by=maria, override=override)
    table = librarian.get(url_of(anna, "blocks")).context["tables"][2]
    assert [(row[0], row[2], row[3]) for row in table.rows] == [
        ("The reader is blocked: Torn", "Has an exam", maria)
    ]


def test_the_account_shows_how_settled_fines_were_computed(librarian: Client) -> None:
    anna = make_reader()
    fine = make_charge(anna, "5.00", description="10 open days × 0.50")
    pay_cash(fine, "5.00", by=make_staff())
    settled = librarian.get(url_of(anna, "account")).context["tables"][0]
    assert settled.title == "Settled charges"
    assert "10 open days × 0.50" in settled.rows[0][1]


def test_ticked_loans_are_renewed_and_each_is_told_of(librarian: Client) -> None:
    anna = make_reader()
    first, second, third = (
        lend(anna, make_copy(make_book(title)), on=march(16)) for title in "abc"
    )
    holds.place(make_reader(), second.copy.book)
    response = renew(librarian, anna, tick(first), tick(second))
    assert response.headers["Location"] == url_of(anna, "loans")
    assert "a: Renewed until Mon 6 Apr 2026." in said(response)
    assert "b: Not renewed. Others wait for this book" in said(response)
    assert "Scan it at the desk to override this" in said(response)
    found = Loan.objects.filter(reader=anna).order_by("pk").values_list("renewals", flat=True)
    assert list(found) == [1, 0, 0]
    assert third.renewals == 0


def test_a_button_pressed_twice_renews_once(librarian: Client) -> None:
    anna = make_reader()
    loan = lend(anna, make_copy(), on=march(16))
    renew(librarian, anna, tick(loan))
    assert "not renewed once more" in said(renew(librarian, anna, tick(loan)))
    assert Loan.objects.get().renewals == 1


@pytest.mark.parametrize("ticks", [(), ("",), ("x:y",), ("\x00:1",), ("9" * 30 + ":0",), ("1",)])
def test_a_tick_that_makes_no_sense_renews_nothing(
    ticks: tuple[str, ...], librarian: Client
) -> None:
    anna = make_reader()
    lend(anna, make_copy(), on=march(16))
    assert "Nothing was renewed" in said(renew(librarian, anna, *ticks))
    assert Loan.objects.get().renewals == 0


def test_another_readers_loan_is_not_renewed_from_this_page(librarian: Client) -> None:
    loan = lend(make_reader(), make_copy(), on=march(16))
    assert "not on loan any more" in said(renew(librarian, make_reader(), tick(loan)))
    assert Loan.objects.get().renewals == 0


def test_renewing_needs_its_permission_and_a_post(librarian: Client) -> None:
    anna = make_reader()
    loan = lend(anna, make_copy(), on=march(16))
    assert renew(signed_in(make_member("Auditor")), anna, tick(loan)).status_code == 403
    url = reverse("admin:circulation_reader_renew", args=[anna.pk])
    assert librarian.get(url).status_code == 405
    assert Loan.objects.get().renewals == 0


def test_saving_the_details_leads_back_to_the_readers_page(librarian: Client) -> None:
    anna = make_reader()
    form = librarian.get(page(anna, "change")).context["adminform"].form
    data = {name: value for name, value in form.initial.items() if value not in (None, False)}
    response = librarian.post(page(anna, "change"), {**data, "phone": "123"})
    assert response.headers["Location"] == reader_page.reader_url(anna.pk)


def test_the_desk_and_the_readers_page_lead_to_each_other(librarian: Client) -> None:
    anna = make_reader()
    panel = librarian.post("/admin/desk/scan/", {"code": anna.card_number, "mode": "lend"})
    assert f'href="{reader_page.reader_url(anna.pk)}"' in panel.json()["reader"]["panel"]
    to_desk = librarian.get(url_of(anna, "loans")).context["head"].desk_url
    assert librarian.get(to_desk).context["served"] == str(anna.pk)
    assert librarian.get("/admin/desk/?reader=%22x").context["served"] == ""
    assert not signed_in(make_member("Auditor")).get(url_of(anna, "loans")).context["head"].desk_url
