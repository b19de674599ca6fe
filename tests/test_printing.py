"""What is printed: which pieces, where on the sheet, in bars that scan, and by whom."""

import random
import string
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from billing import charges
from catalog.models import CopyStatus, ImportRun
from circulation import holds
from circulation.models import LoanPolicy, Reader
from circulation.printing import barcodes, labels
from circulation.printing.names import for_the_shelf, listed
from circulation.printing.sheets import CARDS, LABELS, Sheet, laid_out
from tests.factories import (
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
    pay_cash,
    set_policy,
    take_back,
)
from tests.office import act_on, page, signed_in
from tests.paper import scan

TODAY = march(31)
WITH_DB = pytest.mark.django_db


@pytest.fixture(autouse=True)
def noon_of_tuesday() -> Iterator[None]:
    """It is noon on Tuesday, 31 March 2026."""
    with time_machine.travel(noon(TODAY), tick=False):
        yield


@pytest.fixture
def rule(db: None) -> LoanPolicy:
    return set_policy(max_loans=20, debt_limit="99.00")


@pytest.fixture
def office(db: None, settings: Settings) -> Client:
    settings.LIBRARY_NAME = "Town Library"
    return signed_in(make_member("Librarian"))


def shown(client: Client, name: str, **asked: Any) -> Any:
    response = client.get(reverse(f"print-{name}"), asked)
    assert response.status_code == 200
    return response


def codes(response: Any) -> list[tuple[int, str]]:
    """Return (position, barcode) of the labels, over all sheets."""
    return [
        (placed.number, placed.piece.copy.barcode)
        for sheet in response.context["pages"]
        for placed in sheet
    ]


# Bars.


def scanned(bars: barcodes.Bars) -> list[str]:
    white, dots = "0" * barcodes.QUIET, 3
    line = bytes(
        tone
        for module in f"{white}{bars.modules}{white}"
        for tone in [0 if module == "1" else 255] * dots
    )
    return [code.text for code in scan(line * 20, width=len(line), height=20)]


def test_every_barcode_scans_as_what_it_says() -> None:
    chance = random.Random(6)
    kinds = (string.digits, string.ascii_uppercase + string.digits, barcodes_may_hold())
    made = [
        "".join(chance.choices(kinds[number % 3], k=chance.randint(1, 20))) for number in range(300)
    ]
    for text in ("00012345", "C0000001", "99", "990705", "9912345", "99A", "9", *made):
        assert scanned(barcodes.fitted(text, width=500)) == [text], text


def barcodes_may_hold() -> str:
    return "".join(map(chr, range(0x21, 0x7F)))


@pytest.mark.parametrize("text", ["", "Ż1", "١٢٣٤", "a\nb", "X" * 40])
def test_what_has_no_bars_on_a_label_is_refused(text: str) -> None:
    with pytest.raises(barcodes.TooLongError):
        barcodes.fitted(text, width=35)


def test_bars_are_of_whole_dots_and_as_wide_as_fits() -> None:
    wide, narrow = (barcodes.fitted("LIB-20240001", width=width) for width in (60, 36))
    assert wide.width <= 60
    assert narrow.width <= 36
    assert wide.module > narrow.module >= barcodes.NARROWEST
    for bars in (wide, narrow):
        assert bars.module / barcodes.DOT == pytest.approx(
            round(bars.module / barcodes.DOT), abs=0.001
        )


# Sheets.


@pytest.mark.parametrize("sheet", [*LABELS, *CARDS], ids=lambda sheet: sheet.code)
def test_every_piece_of_a_sheet_lies_on_the_paper_beside_the_others(sheet: Sheet) -> None:
    last = sheet.spot(sheet.places - 1)
    assert min(sheet.spot(0)) >= 0
    assert last.left + sheet.width <= sheet.paper[0] + 0.01
    assert last.top + sheet.height <= sheet.paper[1] + 0.01
    assert sheet.step_right >= sheet.width
    assert sheet.step_down >= sheet.height
    # What is left of the paper is the same on both sides: no column was forgotten.
    assert last.left + sheet.width + sheet.left == pytest.approx(sheet.paper[0], abs=0.8)
    assert last.top + sheet.height + sheet.top == pytest.approx(sheet.paper[1], abs=1.2)


def test_a_sheet_that_was_begun_is_gone_on_with() -> None:
    sheet = LABELS[0]
    numbers = list(range(30))
    first, second, third = laid_out(numbers, sheet, first=20)
    assert first == [(19, 0), (20, 1)]
    assert [place for place, _piece in second] == list(range(21))
    assert third == [(place, place + 23) for place in range(7)]
    assert [len(each) for each in laid_out(numbers, sheet, first=1)] == [21, 9]
    assert list(laid_out([], sheet, first=5)) == []
    assert sheet.spot(4, right=1.5, down=-0.5) == pytest.approx((74.75, 52.75))


# Labels.


@WITH_DB
def test_labels_are_made_for_chosen_copies_books_and_ranges(office: Client) -> None:
    book = make_book("Eden", call_number="821 LEM")
    first, _second = make_copy(book, barcode="A2"), make_copy(book, barcode="A1")
    withdrawn = make_copy(book, barcode="A0", status=CopyStatus.WITHDRAWN)
    make_copy(barcode="B1")
    make_copy(barcode="B2")
    chosen = shown(office, "labels", copy=first.pk)
    assert codes(chosen) == [(1, "A2")]
    text = chosen.content.decode()
    assert all(each in text for each in ("Town Library", "Eden", "A2", "821 LEM", "<svg"))
    assert codes(shown(office, "labels", book=book.pk, first=20)) == [(20, "A1"), (21, "A2")]
    assert [code for _place, code in codes(shown(office, "labels", start="A2", end="B1"))] == [
        "A2",
        "B1",
    ]
    assert "Choose copies in their list" in shown(office, "labels").content.decode()
    gone = shown(office, "labels", copy=withdrawn.pk).content.decode()
    assert "Withdrawn copies get no label; left out: 1." in gone


@WITH_DB
def test_the_copies_of_an_import_get_their_labels(office: Client) -> None:
    run = ImportRun.objects.create(kind="copies", status="done", file_name="new.csv")
    make_copy(barcode="NEW1", import_run=run)
    make_copy(barcode="OLD1")
    assert page(run, "print_labels") in office.get(page(run, "change")).text
    assert codes(office.get(page(run, "print_labels"), follow=True)) == [(1, "NEW1")]
    empty = ImportRun.objects.create(kind="books", status="done", file_name="none.csv")
    assert page(empty, "print_labels") not in office.get(page(empty, "change")).text


@WITH_DB
def test_what_is_asked_of_a_sheet_is_checked(office: Client) -> None:
    wrong = {
        "This sheet has 21 positions.": {"first": 22},
        "This range ends before it begins.": {"start": "B", "end": "A"},
        "Fill in both ends of the range": {"start": "B"},
        "less than or equal to 20": {"right": 21},
        "not one of the available choices": {"sheet": "a3"},
        "Enter a number": {"down": "far"},
        "greater than or equal to 1": {"first": 0},
        "Null characters": {"start": "\x00", "end": "z"},
    }
    for said, asked in wrong.items():
        response = shown(office, "labels", **asked)
        assert said in response.content.decode(), said
        assert response.context["pages"] == []


@WITH_DB
def test_a_barcode_too_long_for_the_sheet_is_named(office: Client) -> None:
    long = make_copy(barcode="LIBRARY-2024-0001-A")
    small = shown(office, "labels", copy=long.pk, sheet="a4-65")
    assert codes(small) == []
    assert "LIBRARY-2024-0001-A. Choose a wider sheet." in small.content.decode()
    assert codes(shown(office, "labels", copy=long.pk, sheet="a4-24"))


@WITH_DB
def test_the_sheet_and_the_printer_are_remembered_by_the_workstation(office: Client) -> None:
    copy = make_copy()
    shown(office, "labels", copy=copy.pk, sheet="a4-65", right="1.5", down="-0.5", first=3)
    [sheet] = shown(office, "labels", copy=copy.pk).context["pages"]
    assert [sheet[0].number, sheet[0].sheet.code] == [1, "a4-65"]
    assert sheet[0].spot == pytest.approx((6.25, 10.2))
    for spoilt in ("{", "[]", '{"sheet": "x", "right": "far"}'):
        office.cookies[labels.COOKIE] = spoilt
        assert codes(shown(office, "labels", copy=copy.pk))


@WITH_DB
def test_the_test_page_shows_every_place(office: Client) -> None:
    test = shown(office, "labels", test=1, sheet="a4-65", right=2)
    assert [placed.number for placed in test.context["test"]] == list(range(1, 66))
    assert test.context["test"][0].spot == pytest.approx((6.75, 10.7))
    assert "This line is 100 mm long" in test.content.decode()
    assert "This line is 50 mm long" in shown(office, "cards", test=1, sheet="card").text


@WITH_DB
def test_many_labels_are_printed_part_by_part(
    office: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    monkeypatch.setattr(labels, "MOST", 30)
    book = make_book()
    for number in range(31):
        make_copy(book, barcode=f"C{number:02}")
    with django_assert_max_num_queries(8):
        part = shown(office, "labels", start="C00", end="C99")
    assert len(codes(part)) == 30
    assert "Only 30 labels are here; more follow." in part.content.decode()
    rest = office.get(reverse("print-labels") + part.context["next_url"])
    assert codes(rest) == [(1, "C30")]
    assert rest.context["next_url"] == ""


# Cards, slips, letters, receipts.


@WITH_DB
def test_cards_hold_the_name_and_the_number(office: Client) -> None:
    anna = make_reader("Anna", card_number="R0042", expiry_date=march(31))
    child = make_reader("Celina", card_number=None)
    long = make_reader("Long", card_number="X" * 60)
    text = shown(office, "cards", reader=[anna.pk, child.pk, long.pk]).content.decode()
    assert all(each in text for each in ("Anna Nowak", "R0042", "Valid until 31 Mar 2026", "<svg"))
    assert "No card without a number. Give one on their pages to: Celina Nowak" in text
    assert "too long for a card: Long Nowak" in text


@WITH_DB
def test_slips_tell_whose_a_book_is_without_naming_the_reader_in_full(
    rule: LoanPolicy, office: Client
) -> None:
    anna = make_reader("Anna", card_number="LIB00042")
    copy = make_copy(make_book("Eden"), barcode="C00000001")
    lend(make_reader(), copy, on=march(20))
    ready = holds.place(anna, copy.book, at=noon(march(21)))
    take_back(copy, on=march(30))
    text = shown(office, "slips", hold=ready.pk).content.decode()
    assert all(each in text for each in ("Nowak A.", "…0042", "Pick up by Mon 6 Apr 2026"))
    assert all(each in text for each in ("Eden", "C00000001", "<svg"))
    assert "Anna" not in text
    assert "LIB00042" not in text
    assert [slip.hold for slip in shown(office, "slips", all="ready").context["slips"]] == [ready]


@WITH_DB
def test_slips_to_pull_follow_the_shelves_and_name_the_free_copies(
    rule: LoanPolicy, office: Client
) -> None:
    late, early = make_book("Late", call_number="900"), make_book("Early", call_number="100")
    for book in (late, early):
        make_copy(book, barcode=f"{book.title}-1")
        make_copy(book, barcode=f"{book.title}-2", status=CopyStatus.IN_REPAIR)
        holds.place(make_reader(), book, at=noon(march(30)))
    out = make_copy(make_book("Out"))
    lend(make_reader(), out, on=march(30))
    holds.place(make_reader(), out.book, at=noon(march(30)))
    page = shown(office, "slips", all="pull")
    assert [(slip.hold.book, slip.copies) for slip in page.context["slips"]] == [
        (early, ["Early-1"]),
        (late, ["Late-1"]),
    ]
    assert "To pull from the shelf" in page.content.decode()


@WITH_DB
def test_a_hold_that_is_over_has_no_slip(rule: LoanPolicy, office: Client) -> None:
    hold = holds.place(make_reader(), make_copy().book, at=noon(march(30)))
    holds.cancel(hold)
    assert "there is no slip" in shown(office, "slips", hold=hold.pk).content.decode()


@WITH_DB
def test_a_letter_holds_all_that_its_reader_has_kept_too_long(
    rule: LoanPolicy, office: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    anna, bartek, celina = (make_reader(name) for name in ("Anna", "Bartek", "Celina"))
    loan = lend_until(march(1), anna, make_copy(make_book("Eden")))
    lend_until(march(30), anna, make_copy(make_book("Fiasco")))
    lend_until(march(29), bartek, make_copy(make_book("Solaris")))
    in_time = lend(celina, make_copy(), on=TODAY)
    make_charge(anna, "7.50")
    with django_assert_max_num_queries(10):
        page = shown(office, "letters", loan=[loan.pk, in_time.pk], reader=bartek.pk)
    of_anna, of_bartek = page.context["letters"]
    assert [(item.loan.copy.book.title, item.days_late) for item in of_anna.items] == [
        ("Eden", 30),
        ("Fiasco", 1),
    ]
    assert [of_bartek.reader, of_bartek.owed] == [bartek, charges.ZERO]
    text = page.content.decode()
    assert "you owe <strong>7.50 USD</strong>" in text
    assert "No letter for 1 of those chosen, who has nothing overdue: Celina Nowak" in text


@WITH_DB
def test_receipts_are_printed_for_chosen_payments(
    office: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    by = make_staff()
    paid = [pay_cash(make_charge(make_reader(), "5.00"), "5.00", by=by) for _number in range(4)]
    with django_assert_max_num_queries(10):
        text = office.get(reverse("billing-receipts"), {"payment": [p.pk for p in paid]}).text
    assert all(f"<h1>Receipt no. {payment.pk}</h1>" in text for payment in paid)
    none = office.get(reverse("billing-receipts"), {"payment": ["x", "9" * 30]})
    assert none.status_code == 404
    assert "Nothing was received in these payments" in none.text


# From the lists, and by whom.


@WITH_DB
def test_what_is_chosen_in_a_list_is_printed(rule: LoanPolicy, office: Client) -> None:
    copy, reader = make_copy(), make_reader()
    other = make_copy()
    loan = lend_until(march(30), make_reader(), other)
    hold = holds.place(reader, make_copy().book, at=noon(march(30)))
    payment = pay_cash(make_charge(reader), "5.00", by=make_staff())
    for act, row, url in (
        ("print_labels", copy, f"{reverse('print-labels')}?copy={copy.pk}"),
        ("print_labels", copy.book, f"{reverse('print-labels')}?book={copy.book.pk}"),
        ("print_cards", reader, f"{reverse('print-cards')}?reader={reader.pk}"),
        ("print_slips", hold, f"{reverse('print-slips')}?hold={hold.pk}"),
        ("print_letters", loan, f"{reverse('print-letters')}?loan={loan.pk}"),
        ("print_receipts", payment, f"{reverse('billing-receipts')}?payment={payment.pk}"),
    ):
        answer = act_on(office, act, row, confirmed=False)
        assert [answer.status_code, answer.headers["Location"]] == [302, url]
        assert office.get(url).status_code == 200
    for act, row in (("print_labels", copy), ("print_slips", hold), ("print_letters", loan)):
        assert page(row, act) in office.get(page(row, "change")).text
        assert office.get(page(row, act)).status_code == 302


@WITH_DB
@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("Librarian", {"labels", "cards", "slips", "letters"}),
        ("Assistant", {"labels", "cards", "slips", "letters"}),
        ("Cashier", set()),
        ("Auditor", set()),
    ],
)
def test_each_role_prints_what_its_work_needs(role: str, allowed: set[str]) -> None:
    client = signed_in(make_member(role))
    for name in ("labels", "cards", "slips", "letters"):
        url = reverse(f"print-{name}")
        assert client.get(url).status_code == (200 if name in allowed else 403), name
        assert client.post(url).status_code == 405


@WITH_DB
def test_what_people_typed_is_printed_as_text(rule: LoanPolicy, office: Client) -> None:
    evil = "<script>alert(1)</script>"
    reader = make_reader(evil, card_number="R<b>1", email="e@example.org")
    copy = make_copy(make_book(evil, author=evil, call_number=evil), barcode="B<b>1")
    lend_until(march(30), reader, copy)
    for name, asked in (
        ("labels", {"copy": copy.pk}),
        ("cards", {"reader": reader.pk}),
        ("letters", {"reader": reader.pk}),
    ):
        text = shown(office, name, **asked).content.decode()
        assert evil not in text
        assert "<b>1" not in text


def test_names_are_short_where_everybody_reads_them() -> None:
    assert for_the_shelf(Reader(first_name="Łucja", last_name="Żak")) == ("Żak Ł.", "")
    assert for_the_shelf(Reader(card_number="12")) == ("", "…12")
    assert listed(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 …"
