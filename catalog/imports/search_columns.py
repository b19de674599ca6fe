"""The search columns of imported books: of many new books they are written late.

Indexing 100,000 books takes SQLite some seconds, for which the desk would have to wait. So a large
import writes its books with empty search columns, in one transaction, and fills these in after it,
a few thousand at a time. `ImportRun.is_searchable` says when that is done.
"""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from catalog.imports.planning import Plan
from catalog.imports.staging import ROWS, Stage
from catalog.models import Book, ImportRun

MOST_AT_ONCE = 10_000
# An import that has been busy for longer has been killed.
LONGEST_IMPORT = timedelta(minutes=15)


def hold_back_index(stage: Stage) -> None:
    """Let PostgreSQL note new words unsorted until the import is written (see `sort_index`)."""
    if stage.is_postgres:
        stage.execute("SET LOCAL gin_pending_list_limit = '1GB'")


def sort_index(stage: Stage) -> None:
    """Have PostgreSQL sort the noted words in, so that no later search has to read them all."""
    if stage.is_postgres and _new_books(stage) > MOST_AT_ONCE:
        stage.fetch("SELECT gin_clean_pending_list('catalog_book_search_vector')")


def are_late(plan: Plan) -> bool:
    """Tell whether the new books are too many to be indexed while the database is locked."""
    return not plan.stage.is_postgres and _new_books(plan.stage) > MOST_AT_ONCE


def _new_books(stage: Stage) -> int:
    return stage.count(f"SELECT COUNT(*) FROM {ROWS} WHERE action = 'n'")


def write_late(plan: Plan, *, run_id: int) -> None:
    """Fill in the search columns of the books just imported, in short transactions."""
    ids = [
        pk
        for (pk,) in plan.stage.stream(
            "SELECT id FROM catalog_book WHERE import_run_id = %s ORDER BY id", [run_id]
        )
    ]
    first_line = plan.stage.count(f"SELECT MIN(line) FROM {ROWS} WHERE action = 'n'")
    offset = ids[0] - first_line
    for start in range(0, len(ids), MOST_AT_ONCE):
        part = ids[start : start + MOST_AT_ONCE]
        with transaction.atomic():
            plan.stage.execute(
                "UPDATE catalog_book SET search_title = s.search_title, "
                f"search_rest = s.search_rest FROM {ROWS} s "
                "WHERE s.line = catalog_book.id - %s AND catalog_book.id BETWEEN %s AND %s "
                "AND catalog_book.search_title = '' AND catalog_book.search_rest = ''",
                [offset, part[0], part[-1]],
            )
    ImportRun.objects.filter(pk=run_id).update(is_searchable=True)


def catch_up() -> None:
    """Make searchable what an import wrote that was killed before it came to that."""
    late = ImportRun.objects.filter(
        is_searchable=False, finished_at__lt=timezone.now() - LONGEST_IMPORT
    )
    for run in late:
        books = Book.objects.filter(import_run=run, search_title="", search_rest="")
        for book in books.iterator():
            book.normalise()
            Book.objects.filter(pk=book.pk, search_title="", search_rest="").update(
                search_title=book.search_title, search_rest=book.search_rest
            )
        ImportRun.objects.filter(pk=run.pk).update(is_searchable=True)
