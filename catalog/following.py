"""New books by the authors that readers follow."""

from collections import defaultdict
from datetime import datetime, timedelta

from django.utils import timezone

from alerts import outbox
from alerts.events import EventKind
from alerts.outbox import Occurrence
from catalog.models import AuthorFollow, Book
from catalog.text import fold

LOOKED_BACK = timedelta(days=7)
"""Further than any outage of the job that readers would still call news after."""


def announce(*, at: datetime | None = None) -> int:
    """Record the new books for those who follow their authors, each book once for each reader."""
    since = (at or timezone.now()) - LOOKED_BACK
    followers: dict[str, list[AuthorFollow]] = defaultdict(list)
    for follow in AuthorFollow.objects.select_related("reader"):
        followers[follow.folded].append(follow)
    if not followers:
        return 0
    new = Book.objects.filter(created_at__gte=since).only("title", "author", "created_at")
    found = [
        Occurrence(
            EventKind.NEW_BOOK,
            book,
            follow.reader,
            once=str(follow.reader_id),
            data={"book_title": book.title, "author": book.author},
        )
        for book in new.iterator()
        for name in book.author.split(";")
        for follow in followers.get(fold(name), ())
        if follow.created_at <= book.created_at
    ]
    outbox.record_all(found)
    return len(found)
