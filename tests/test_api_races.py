"""The API asked for the same thing by many at once: one is served, the others are told why not."""

from collections import Counter
from collections.abc import Iterator

import pytest

from billing.models import Charge
from catalog.models import Copy
from circulation.models import DeskAct, Loan, Reader
from config import integrity
from tests import race
from tests.factories import (
    lend,
    make_book,
    make_copy,
    make_reader,
    make_staff,
    set_policy,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(autouse=True)
def rules(transactional_db: None) -> Iterator[None]:
    """The rules of the case files; afterwards everything must agree, whoever won."""
    set_policy()
    yield
    assert {result.check.name: result.listed for result in integrity.run() if result.count} == {}


@pytest.fixture
def clerk(transactional_db: None) -> Reader:
    return make_staff(
        "Klara", permissions=("circulation.check_out", "circulation.check_in", "circulation.renew")
    )


def test_many_returns_of_one_borrowing_are_one(clerk: Reader, anna: Reader) -> None:
    loan = lend(anna, make_copy())
    act = ("post", clerk.pk, f"/api/borrowings/{loan.pk}/return/", {})
    assert Counter(race.run([act] * 6)) == {"200": 1, "409 already_returned": 5}
    assert DeskAct.objects.filter(kind=DeskAct.Kind.CHECK_IN).count() == 1


def test_a_late_click_never_returns_the_loan_of_the_next_reader(
    clerk: Reader, anna: Reader, bartek: Reader
) -> None:
    """Returns of the old loan cross with a check-out of the same copy to somebody else."""
    loan = lend(anna, make_copy())
    returns = [("post", clerk.pk, f"/api/borrowings/{loan.pk}/return/", {})] * 4
    sent = {"barcode": loan.copy.barcode, "user_id": bartek.pk}
    lends = [("post", clerk.pk, "/api/borrowings/", sent)] * 4
    answers = Counter(race.run([*returns, *lends]))
    assert answers["200"] == 1
    assert answers["201"] == Loan.objects.open().filter(reader=bartek).count()
    refused = ("409 already_returned", "409 copy_on_loan", "409 already_borrowed")
    assert sum(answers[code] for code in ("200", "201", *refused)) == 8


def test_many_check_outs_of_the_last_copy_are_one(clerk: Reader) -> None:
    book = make_copy(make_book(daily_fee="0.10")).book
    acts = [
        ("post", clerk.pk, "/api/borrowings/", {"book": book.pk, "user_id": make_reader().pk})
        for _number in range(6)
    ]
    assert Counter(race.run(acts)) == {"201": 1, "409 no_copy_available": 5}
    assert (Loan.objects.count(), Charge.objects.count()) == (1, 1)
    assert Copy.objects.get().status == "on_loan"


def test_a_double_click_on_a_barcode_makes_one_loan(clerk: Reader, anna: Reader) -> None:
    sent = {"barcode": make_copy().barcode, "user_id": anna.pk}
    answers = Counter(race.run([("post", clerk.pk, "/api/borrowings", sent)] * 4))
    assert answers == {"201": 1, "409 already_borrowed": 3}


def test_many_holds_of_one_reader_on_one_book_are_one(anna: Reader) -> None:
    member = make_staff("Ola", permissions=("circulation.add_hold",))
    sent = {"book": make_copy().book_id, "user_id": anna.pk}
    answers = Counter(race.run([("post", member.pk, "/api/holds/", sent)] * 4))
    assert answers == {"201": 1, "409 already_on_hold": 3}
