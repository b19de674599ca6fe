"""The import of books: one row per book with the number of its copies, or one row per copy."""

from collections.abc import Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, ClassVar, cast

from django.db import models
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from catalog import resources, text
from catalog.imports import copy_numbers, search_columns, values
from catalog.imports.derivation import rederive
from catalog.imports.kinds import Column, Options, UnreadableError
from catalog.imports.planning import Key, Kind, Plan, write_changes
from catalog.imports.staging import ROWS
from catalog.imports.targets import Assignment, Target, column_types
from catalog.models import Book, Copy, CopyStatus, ImportRun

SEARCHED = (
    "title",
    "author",
    "isbn",
    "printed_isbn",
    "subjects",
    "publisher",
    "call_number",
    "language",
)
EXPORTED = (
    "source_id", "isbn", "printed_isbn", "title", "author", "cover", "daily_fee", "publisher",
    "published_year", "language", "subjects", "call_number",
)  # fmt: skip
PIECE = ("item_type_id", "price", "note", "acquired_date")


class Books(Kind):
    """A book is known by its ISBN, else by its record number, else by what is on its title page."""

    name = "books"
    model = Book
    keys = (Key(("isbn",)), Key(("source_id",)))
    derived = ("identity", "search_title", "search_rest")
    shown = ("copies", "barcode")
    exported = (
        *((name, name) for name in EXPORTED),
        ("copies", "kept_copies"),
    )
    lookups = (
        ("copies", "integer"),
        ("barcode", "varchar(64)"),
        ("book_key", "text"),
    )
    planned = (
        ("copy_id", "bigint"),
        ("copy_action", "varchar(1)"),
        ("copy_before", "text"),
        ("have", "integer"),
    )
    verdict: ClassVar[str] = (
        "CASE WHEN s.action = 'w' THEN 'w' WHEN s.action = 'n' OR s.copy_action = 'n' THEN 'n' "
        "WHEN s.action = 'c' OR s.copy_action = 'c' THEN 'c' ELSE 'u' END"
    )

    def to_export(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        kept = (
            Copy.objects.filter(book=models.OuterRef("pk"))
            .exclude(status=CopyStatus.WITHDRAWN)
            .order_by()
            .values("book")
            .values(number=models.Count("pk"))
        )
        counted: models.QuerySet[Any] = rows.annotate(
            kept_copies=Coalesce(models.Subquery(kept), 0)
        )
        return counted

    def columns(self, options: Options) -> Sequence[Column]:
        return [
            *resources.book_columns(options),
            Column(
                name="copies",
                parse=values.whole(0, values.MOST_COPIES),
                aliases=(
                    "inventory",
                    "owned copies",
                    "number of copies",
                    "quantity",
                    "holdings",
                    "egzemplarze",
                    "liczba egzemplarzy",
                    "exemplare",
                ),
            ),
            resources.barcode_column(),
            *resources.piece_columns(),
        ]

    def staged(self, columns: Sequence[Column]) -> list[tuple[str, str]]:
        return [*super().staged(columns), *column_types(Copy, PIECE)]

    def assigned(self, present: frozenset[str], columns: Sequence[Column]) -> list[Assignment]:
        listed = super().assigned(present, columns)
        if "isbn" in present and "printed_isbn" not in present:
            listed.append(Assignment("printed_isbn", keeps=True))
        return listed

    def check_layout(self, present: frozenset[str]) -> list[str]:
        if {"copies", "barcode"} <= present:
            raise UnreadableError(
                _(
                    "The file has both a number of copies and barcodes. Leave one of them out, "
                    "for example by mapping its header to nothing."
                )
            )
        if "barcode" not in present and (unused := present & {"item_type", "price", "note"}):
            return [
                _("Without barcodes these columns are not used: %(names)s.")
                % {"names": ", ".join(sorted(unused))}
            ]
        return []

    def fill_in(self, record: dict[str, Any]) -> None:
        given = {name: record[name] or "" for name in SEARCHED}
        record["identity"] = text.identity(
            given["title"], given["author"], given["language"], record["published_year"]
        )
        book = cast("Book", SimpleNamespace(**given))
        record["search_title"], record["search_rest"] = text.search_columns(book)

    def complete(self, record: dict[str, Any]) -> None:
        isbn = record["isbn"]
        if isinstance(isbn, values.PrintedISBN):
            record["printed_isbn"] = str(isbn)
            record["isbn"] = isbn = None
        self.fill_in(record)
        record["book_key"] = isbn or (
            f"s{record['source_id']}" if record["source_id"] else f"t{record['identity']}"
        )

    def warnings_for(self, line: int, record: dict[str, Any]) -> list[str]:
        if not record["printed_isbn"] or record["isbn"]:
            return []
        return [
            _("Line %(line)d: the check digit of “%(isbn)s” is wrong; it is kept as printed.")
            % {"line": line, "isbn": record["printed_isbn"]}
        ]

    def match(self, plan: Plan) -> None:
        super().match(plan)
        self._match_by_identity(plan)

    def _match_by_identity(self, plan: Plan) -> None:
        """Match rows without ISBN and record number.

        A book that has neither itself comes first; else the only one with that title page.
        """
        stage = plan.stage
        keyless = f"{ROWS}.isbn IS NULL AND {ROWS}.source_id IS NULL AND {ROWS}.action = 'n'"
        same = f'FROM "{plan.target.table}" t WHERE t.identity = {ROWS}.identity'
        stage.execute(
            f"UPDATE {ROWS} SET target_id = (SELECT MIN(t.id) {same} "
            f"AND t.isbn IS NULL AND t.source_id IS NULL) WHERE {keyless}"
        )
        stage.refuse(
            f"SELECT line, title FROM {ROWS} WHERE {keyless} AND target_id IS NULL "
            f"AND (SELECT COUNT(*) {same}) > 1",
            "title",
            lambda: _(
                "Several books have this title, author, language and year. Add the ISBN or the "
                "record number."
            ),
        )
        stage.execute(
            f"UPDATE {ROWS} SET target_id = (SELECT MIN(t.id) {same}) "
            f"WHERE {keyless} AND target_id IS NULL"
        )

    def refuse_repeated(self, plan: Plan) -> None:
        """Several rows may be about one book (one for each copy), if they say the same of it."""
        stage = plan.stage
        stage.execute(f"CREATE INDEX import_row_book ON {ROWS} (book_key)")
        repeated = f"SELECT book_key FROM {ROWS} GROUP BY 1 HAVING COUNT(*) > 1"
        for shared in ("target_id", "source_id"):
            self._refuse_under_other_keys(plan, shared)
        if not stage.has(repeated):
            return
        self._find_first_lines(plan)
        compared = Target(Book, "target_id", self._compared(plan))
        difference = compared.first_difference(stage, other="r")
        stage.refuse(
            f"SELECT s.line, s.title, s.first_line, {difference} FROM {ROWS} s "
            f"JOIN {ROWS} r ON r.line = s.first_line "
            f"WHERE s.action = 'n' AND s.line <> s.first_line AND {difference} IS NOT NULL",
            "",
            lambda first, column: (
                _("It is the same book as line %(line)d, but differs from it in %(column)s.")
                % {"line": first, "column": column}
            ),
        )

    def _compared(self, plan: Plan) -> tuple[Assignment, ...]:
        if "copies" in plan.present:
            return (*plan.target.assigned, Assignment("copies"))
        return plan.target.assigned

    def _refuse_under_other_keys(self, plan: Plan, shared: str) -> None:
        plan.stage.refuse(
            f"SELECT s.line, s.source_id, f.line FROM {ROWS} s JOIN ("
            f"SELECT {shared}, MIN(line) AS line FROM {ROWS} WHERE action = 'n' "
            f"AND {shared} IS NOT NULL GROUP BY 1 HAVING COUNT(DISTINCT book_key) > 1) f "
            f"ON f.{shared} = s.{shared} JOIN {ROWS} r ON r.line = f.line "
            "WHERE s.action = 'n' AND s.book_key <> r.book_key",
            "source_id",
            lambda first: (
                _("It is the same book as line %(line)d, with another ISBN or number.")
                % {"line": first}
            ),
        )

    def _find_first_lines(self, plan: Plan) -> None:
        """Let the rows of one book know the first of them that is not wrong."""
        plan.stage.execute(
            f"UPDATE {ROWS} SET first_line = f.line FROM ("
            f"SELECT book_key, MIN(line) AS line FROM {ROWS} WHERE action = 'n' GROUP BY 1"
            f") f WHERE f.book_key = {ROWS}.book_key AND f.line <> {ROWS}.first_line"
        )

    def check(self, plan: Plan) -> None:
        stage = plan.stage
        if "barcode" in plan.present:
            copy_numbers.match_barcodes(stage)
            self._refuse_other_books_barcodes(plan)
        if "copies" in plan.present:
            copy_numbers.refuse_too_few(stage)
        if stage.has(f"SELECT 1 FROM {ROWS} WHERE first_line <> line OR action = 'w'"):
            self._find_first_lines(plan)
            stage.execute(
                f"UPDATE {ROWS} SET action = 'd' WHERE action = 'n' AND first_line <> line"
            )

    def _refuse_other_books_barcodes(self, plan: Plan) -> None:
        plan.stage.refuse(
            f"SELECT s.line, s.barcode, b.title FROM {ROWS} s "
            "JOIN catalog_copy c ON c.id = s.copy_id JOIN catalog_book b ON b.id = c.book_id "
            "WHERE s.action = 'n' AND (s.target_id IS NULL OR s.target_id <> c.book_id)",
            "barcode",
            lambda title: _("This barcode is on a copy of “%(title)s”.") % {"title": title[:100]},
        )

    def derive(self, plan: Plan) -> None:
        stage = plan.stage
        if "barcode" in plan.present:
            copy_numbers.classify_pieces(stage, self._pieces(plan))
        elif plan.options.copies:
            stage.execute(
                f"UPDATE {ROWS} SET copies = %s WHERE copies IS NULL AND action = 'n'",
                [plan.options.copies],
            )
        elif "copies" not in plan.present and stage.has(f"SELECT 1 FROM {ROWS} WHERE action = 'n'"):
            stage.warn([_("The file says nothing about copies: its new books have none yet.")])
        if "copies" in plan.present:
            stage.execute(
                f"UPDATE {ROWS} SET copy_action = 'c' WHERE action IN ('c', 'u') AND copies <> have"
            )
        rederive(plan)

    def _pieces(self, plan: Plan) -> Target:
        """The copies that the rows describe, one each."""
        names = {column.stage_name: column.name for column in resources.piece_columns()}
        return Target(
            Copy, "copy_id", tuple(Assignment(n) for n in PIECE if names[n] in plan.present)
        )

    def prepare(self, plan: Plan) -> None:
        if "barcode" not in plan.present:
            copy_numbers.prepare(plan.stage)

    def is_stale(self, plan: Plan) -> bool:
        stage = plan.stage
        by_barcode = "barcode" in plan.present
        if stage.has(
            f"SELECT 1 FROM {ROWS} WHERE isbn IS NULL AND source_id IS NULL"
        ) and stage.has(
            f'SELECT 1 FROM {ROWS} s JOIN "{plan.target.table}" t ON t.identity = s.identity '
            "WHERE s.action = 'n' AND s.isbn IS NULL AND s.source_id IS NULL"
        ):
            return True
        if not by_barcode and not plan.actions & {"c", "u"}:
            return False
        return copy_numbers.is_stale(stage, self._pieces(plan), by_barcode=by_barcode)

    def write(self, plan: Plan, *, run_id: int, by_id: int | None, at: datetime) -> None:
        stage = plan.stage
        search_columns.hold_back_index(stage)
        write_changes(plan, plan.target, run_id=run_id, by_id=by_id, at=at)
        # Lines count up, so they number the new rows; gaps do no harm.
        params: list[object] = [self._last_id(plan)]
        new_id = "(%s + l.line)"
        given: dict[str, tuple[str, list[object]]] = {
            "id": (new_id.replace("l.", "s."), params),
            "import_run_id": ("%s", [run_id]),
        }
        if search_columns.are_late(plan):
            given |= {"search_title": ("''", []), "search_rest": ("''", [])}
            ImportRun.objects.filter(pk=run_id).update(is_searchable=False)
        plan.target.insert(
            stage,
            source=f"FROM {ROWS} s WHERE s.action = 'n' ORDER BY s.line",
            given=given,
        )
        copy_numbers.write(
            plan, self._pieces(plan), (new_id, params), run_id=run_id, by_id=by_id, at=at
        )

    def _last_id(self, plan: Plan) -> int:
        """Return the id that the new rows count up from; on PostgreSQL they are reserved."""
        stage = plan.stage
        if stage.is_postgres:
            return stage.count(
                "SELECT setval(sequence, nextval(sequence) + last) - last "
                "FROM pg_get_serial_sequence(%s, 'id') AS sequence, "
                f"(SELECT MAX(line) AS last FROM {ROWS}) AS lines",
                [plan.target.table],
            )
        # An import holds SQLite's only write lock.
        return stage.count(
            "SELECT MAX(seq) FROM sqlite_sequence WHERE name = %s", [plan.target.table]
        )

    def finish(self, plan: Plan, *, run_id: int) -> None:
        if search_columns.are_late(plan):
            search_columns.write_late(plan, run_id=run_id)
        search_columns.sort_index(plan.stage)


BOOKS = Books()
