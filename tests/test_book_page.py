"""The book's page: its copies and who has them, the queue, how often it was lent, by permission."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client

from alerts.backoffice.pages import code
from catalog.models import Book
from circulation import desk, holds, reader_page
from circulation.models import Loan
from tests.counting import queries_of
from tests.factories import (
    MONDAY,
    lend,
    lend_until,
    make_book,
    make_copy,
    make_member,
    make_reader,
    make_staff,
    march,
    noon,
    overriding,
    set_policy,
    take_back,
)
from tests.office import page, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule", "today")]

VIEW_BOOKS = ("catalog.view_book", "catalog.view_copy")


@pytest.fixture
def today() -> Iterator[None]:
    with time_machine.travel(noon(march(23)), tick=False):
        yield


@pytest.fixture
def librarian(db: None) -> Client:
    return signed_in(make_member("Librarian"))


@pytest.fixture
def book(db: None) -> Book:
    return make_book("Solaris")


def text_of(response: Any) -> str:
    text = re.sub(r"<(script|style|template).*?</\1>", " ", response.content.decode(), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text)).replace("\xa0", " ")


def staff_with(*permissions: str) -> Client:
    return signed_in(make_staff(permissions=(*VIEW_BOOKS, *permissions)))


def test_each_copy_says_who_has_it_and_a_free_one_nothing(librarian: Client, book: Book) -> None:
    lent, lost, kept, free = (make_copy(book) for _number in range(4))
    anna, adam, ewa = make_reader("Anna"), make_reader("Adam"), make_reader("Ewa")
    lend(anna, lent, on=march(16))
    desk.mark_lost(lend(adam, lost, on=MONDAY), on=march(9))
    lend(make_reader(), kept, on=MONDAY)
    holds.place(ewa, book)
    take_back(kept, on=march(23))
    text = text_of(librarian.get(page(book, "change")))
    assert "Anna Nowak , due 30 Mar 2026" in text
    assert "Adam Nowak lost it on 9 Mar 2026" in text
    assert "Kept for Ewa Nowak until 30 Mar 2026" in text
    assert f"{free.barcode}" in text
    assert "1 of 4 copies available" in text
    assert "lent 3 times" in text
    link = f'href="{reader_page.reader_url(anna.pk)}"'
    assert link in librarian.get(page(book, "change")).text


def test_a_copy_and_a_book_that_were_never_lent_say_so(librarian: Client, book: Book) -> None:
    never, undone = make_copy(book), make_copy(book)
    loan = lend_until(march(16), copy=undone)
    Loan.objects.filter(pk=loan.pk).update(undone_at=noon(march(3)), actual_return_date=march(3))
    text = text_of(librarian.get(page(book, "change")))
    assert text.count("never lent") == 4  # the book, both its copies, the empty history
    assert "This book was never lent." in text
    lend(make_reader(), never, on=march(16))
    text = text_of(librarian.get(page(book, "change")))
    assert text.count("never lent") == 1
    assert "lent 1 time" in text


def test_names_are_for_those_who_see_readers(book: Book) -> None:
    copy = make_copy(book)
    lend(make_reader("Anna"), copy, on=march(16))
    sees_loans = staff_with("circulation.view_loan", "circulation.view_hold")
    text = text_of(sees_loans.get(page(book, "change")))
    assert "Due 30 Mar 2026" in text
    assert "Anna" not in text
    text = text_of(staff_with().get(page(book, "change")))
    assert "On loan" in text
    kept_back = ("March 30", "Anna", "Loan history", "Holds queue", "never lent")
    assert not [each for each in kept_back if each in text]


def test_the_history_is_of_all_copies_the_newest_first_and_leads_to_the_whole(
    librarian: Client, book: Book
) -> None:
    first, second = make_copy(book), make_copy(book)
    old = lend_until(march(16), copy=first)
    take_back(first, on=march(10))
    new = lend(make_reader(), second, on=march(20))
    lend(make_reader(), make_copy(), on=march(20))
    tables = {table.title: table for table in librarian.get(page(book, "change")).context["tables"]}
    history = tables["Loan history"]
    assert [row[1] for row in history.rows] == [code(new.copy.barcode), code(old.copy.barcode)]
    assert librarian.get(history.more_url).context["cl"].result_count == 2


def test_the_queue_is_in_its_order(librarian: Client, book: Book) -> None:
    lend(make_reader(), make_copy(book), on=MONDAY)
    waiting = [make_reader(name) for name in ("Adam", "Ewa")]
    for day, reader in enumerate(waiting):
        holds.place(reader, book, at=noon(march(10 + day)))
    shown = librarian.get(page(book, "change"))
    queue = shown.context["tables"][0]
    assert [(row[2], "Adam" in row[1]) for row in queue.rows] == [(1, True), (2, False)]
    assert "2 holds" in text_of(shown)
    place = shown.context["head"].hold_url
    assert librarian.get(place).context["form"].initial["book"] == str(book.pk)


def test_no_more_queries_for_a_book_that_is_lent_a_lot(librarian: Client, book: Book) -> None:
    set_policy(max_holds=100)
    maria = make_member("Librarian")
    out = [make_copy(book) for _number in range(2)]
    for copy in out:
        lend(make_reader(), copy, on=MONDAY)

    def grow(number: int) -> int:
        for _each in range(number):
            copy = make_copy(book)
            Loan.objects.bulk_create(
                Loan(
                    copy=copy,
                    reader=make_reader(),
                    borrow_date=march(2),
                    expected_return_date=march(16),
                    actual_return_date=march(9),
                )
                for _loan in range(3)
            )
            override = overriding("held_for_others")
            lend(make_reader(), copy, on=march(20), by=maria, override=override)
            holds.place(make_reader(), book)
        desk.check_in(out.pop())
        librarian.get(page(book, "change"))
        return queries_of(lambda: librarian.get(page(book, "change")))

    assert grow(2) == grow(20) <= 12


def test_a_copy_is_still_changed_on_its_books_page(librarian: Client, book: Book) -> None:
    copy = make_copy(book)
    form = librarian.get(page(book, "change")).context
    data = {
        **{name: value for name, value in form["adminform"].form.initial.items() if value},
        "daily_fee": "0",
        "copies-TOTAL_FORMS": 1,
        "copies-INITIAL_FORMS": 1,
        "copies-0-id": copy.pk,
        "copies-0-book": book.pk,
        "copies-0-barcode": copy.barcode,
        "copies-0-note": "Torn cover",
    }
    assert librarian.post(page(book, "change"), data).status_code == 302
    copy.refresh_from_db()
    assert copy.note == "Torn cover"


def test_what_is_wrong_with_a_folded_field_is_shown(librarian: Client, book: Book) -> None:
    def is_folded(shown: Any) -> bool:
        return next(iter(shown.context["adminform"])).is_collapsible

    assert is_folded(librarian.get(page(book, "change")))
    data = {"title": "", "copies-TOTAL_FORMS": 0, "copies-INITIAL_FORMS": 0}
    refused = librarian.post(page(book, "change"), data)
    assert refused.status_code == 200
    assert not is_folded(refused)
    assert not is_folded(librarian.get(page(Book, "add")))
