"""The titles most lent in the last 30 days; where much is lent, counted every ten minutes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from alerts.backoffice.remembered import now_and_then
from circulation.models import Loan
from config import waiting

DAYS, TITLES = 30, 8
MANY = 10_000
"""From so many loans on, the count is good for a while: 40,000 took 70 ms on SQLite."""
# Plus nothing, or SQLite goes through all copies in the order of their books. Only the few at the
# top are joined with their titles, which the ORM has no words for.
MOST_LENT = """
    SELECT book.id, book.title, most.number FROM (
        SELECT copy.book_id + 0 AS book_id, COUNT(*) AS number
        FROM circulation_loan AS loan JOIN catalog_copy AS copy ON copy.id = loan.copy_id
        WHERE loan.borrow_date >= %s AND loan.undone_at IS NULL
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s
    ) AS most JOIN catalog_book AS book ON book.id = most.book_id
    ORDER BY most.number DESC, book.id
"""


@dataclass(frozen=True)
class Title:
    """A book and how often it was lent; `percent` is of the one most lent."""

    title: str
    url: str
    number: int
    percent: int


@dataclass(frozen=True)
class Ranking:
    """The titles, the most lent first; `counted_at` where that was not just now."""

    titles: list[Title]
    counted_at: datetime | None = None


def may_see(request: HttpRequest) -> bool:
    return request.user.has_perms((*waiting.LENDING, "catalog.view_book"))


def lately(at: datetime) -> QuerySet[Loan]:
    """Return the loans that count, those undone since among them."""
    return Loan.objects.filter(borrow_date__gte=_since(at))


def ranking(*, at: datetime, is_much: bool) -> Ranking:
    """Return the books most lent; `is_much` says that there are `MANY` loans or more of late."""
    if not is_much:
        return Ranking(_titles(_counted(at)))
    most, counted_at = now_and_then(f"most lent since {_since(at)}", lambda: _counted(at))
    return Ranking(_titles(most), counted_at)


def _since(at: datetime) -> date:
    return timezone.localdate(at) - timedelta(days=DAYS - 1)


def _counted(at: datetime) -> list[tuple[int, str, int]]:
    """Return (book, title, number of loans), most first."""
    with connection.cursor() as cursor:
        cursor.execute(MOST_LENT, [_since(at), TITLES])
        return [tuple(row) for row in cursor.fetchall()]


def _titles(most: Sequence[tuple[int, str, int]]) -> list[Title]:
    return [
        Title(
            title=title,
            url=reverse("admin:catalog_book_change", args=[pk]),
            number=number,
            percent=100 * number // most[0][2],
        )
        for pk, title, number in most
    ]
