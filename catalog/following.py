"""New books by the authors that readers follow."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from alerts import outbox
from alerts.events import EventKind
from alerts.outbox import Occurrence
from catalog.models import AuthorFollow, Book
from catalog.text import fold

if TYPE_CHECKING:
    from circulation.models import Reader

LONGEST_NAME = 200
LOOKED_BACK = timedelta(days=7)
"""Further than any outage of the job that readers would still call news after."""


MOST_NEWS = 50
"""How many new books a reader is told of at once, the newest: an import may bring thousands."""


def follow_only(reader: "Reader", authors: Iterable[str]) -> None:
    """Make these names, of which none folds to nothing, all that the reader follows.

    Who was followed before is so since then.
    """
    wanted = {fold(name)[:LONGEST_NAME]: name for name in authors}
    AuthorFollow.objects.filter(reader=reader).exclude(folded__in=wanted).delete()
    AuthorFollow.objects.bulk_create(
        [
            AuthorFollow(reader=reader, author=name, folded=folded)
            for folded, name in wanted.items()
        ],
        ignore_conflicts=True,
    )


def announce(*, at: datetime | None = None) -> int:
    """Record the new books for those who follow their authors, each book once for each reader."""
    since = (at or timezone.now()) - LOOKED_BACK
    followers: dict[str, list[AuthorFollow]] = defaultdict(list)
    for follow in AuthorFollow.objects.select_related("reader"):
        followers[follow.folded].append(follow)
    if not followers:
        return 0
    news: dict[int, dict[int, Occurrence]] = defaultdict(dict)
    new = Book.objects.filter(created_at__gte=since).only("title", "author", "created_at")
    for book in new.order_by("-created_at", "-pk").iterator():
        for follow in _followers_of(book, followers):
            if len(told := news[follow.reader_id]) < MOST_NEWS:
                told[book.pk] = _new_book(book, follow.reader)
    found = [occurrence for told in news.values() for occurrence in told.values()]
    outbox.record_all(found)
    return len(found)


def _followers_of(
    book: Book, followers: Mapping[str, Sequence[AuthorFollow]]
) -> Iterator[AuthorFollow]:
    """Yield who followed one of the authors when the book came."""
    for name in book.author.split(";"):
        for follow in followers.get(fold(name)[:LONGEST_NAME], ()):
            if follow.created_at <= book.created_at:
                yield follow


def _new_book(book: Book, reader: "Reader") -> Occurrence:
    return Occurrence(
        EventKind.NEW_BOOK,
        book,
        reader,
        once=str(reader.pk),
        data={"book_title": book.title, "author": book.author},
    )
