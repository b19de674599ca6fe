"""The import of copies: each has its barcode and names the book that it is a copy of."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from catalog import resources, text
from catalog.imports import copy_numbers, values
from catalog.imports.kinds import Column, Options
from catalog.imports.planning import Key, Kind, Plan
from catalog.imports.staging import ROWS
from catalog.imports.targets import Assignment
from catalog.models import Copy, CopyStatus

# What a file may say of a copy that is there already; the rest is what happens at the desk.
FREELY_SET = (CopyStatus.AVAILABLE, CopyStatus.IN_REPAIR, CopyStatus.WITHDRAWN)
OF_THE_DESK = (CopyStatus.ON_LOAN, CopyStatus.ON_HOLD_SHELF)
STATUSES = {
    **{str(status).replace("_", " "): status for status in CopyStatus},
    "checked out": CopyStatus.ON_LOAN,
    "on shelf": CopyStatus.AVAILABLE,
    "missing": CopyStatus.LOST,
    "repair": CopyStatus.IN_REPAIR,
    "discarded": CopyStatus.WITHDRAWN,
}
BY_BOOK = ("isbn", "source_id", "title", "author", "language", "published_year")


class Copies(Kind):
    """A copy is known by its barcode; its book by ISBN, else record number, else title page."""

    name = "copies"
    model = Copy
    keys = (Key(("barcode",)),)
    shown = BY_BOOK
    exported = (
        ("barcode", "barcode"),
        *((name, f"book__{name}") for name in BY_BOOK),
        ("item_type", "item_type__name"),
        ("status", "status"),
        ("price", "price"),
        ("note", "note"),
        ("acquired_date", "acquired_date"),
    )
    lookups = (
        ("isbn", "varchar(13)"),
        ("source_id", "varchar(100)"),
        ("title", "text"),
        ("author", "text"),
        ("language", "text"),
        ("published_year", "integer"),
        ("identity", "varchar(32)"),
        ("desk_status", "varchar(13)"),
    )

    def columns(self, options: Options) -> Sequence[Column]:
        of_books = {column.name: column for column in resources.book_columns(Options())}
        return [
            resources.barcode_column(required=True),
            *(replace(of_books[name], required=False, keeps=False) for name in BY_BOOK),
            *resources.piece_columns(),
            Column(
                name="status",
                parse=values.one_of(STATUSES),
                keeps=True,
                aliases=("item status", "copy status", "stan", "status egzemplarza"),
            ),
        ]

    def staged(self, columns: Sequence[Column]) -> list[tuple[str, str]]:
        return [*super().staged(columns), ("book_id", "bigint")]

    def assigned(self, present: frozenset[str], columns: Sequence[Column]) -> list[Assignment]:
        return [*super().assigned(present, columns), Assignment("book_id", keeps=True)]

    def complete(self, record: dict[str, Any]) -> None:
        if record["title"]:
            record["identity"] = text.identity(
                record["title"],
                record["author"] or "",
                record["language"] or "",
                record["published_year"],
            )
        if record.get("status") in OF_THE_DESK:
            record["desk_status"], record["status"] = record["status"], None

    def resolve(self, plan: Plan) -> None:
        """Find the books; a row that names one which is not there is wrong."""
        stage = plan.stage
        self._find_books(plan)
        for name, without in (
            ("isbn", "1 = 1"),
            ("source_id", "s.isbn IS NULL"),
            ("title", "s.isbn IS NULL AND s.source_id IS NULL"),
        ):
            stage.refuse(
                f"SELECT s.line, s.{name} FROM {ROWS} s WHERE s.action = 'n' "
                f"AND s.book_id IS NULL AND s.{name} IS NOT NULL AND {without}",
                name,
                lambda: _("No book is known by this. Import the books first."),
            )

    def _find_books(self, plan: Plan) -> None:
        stage = plan.stage
        for name in ("isbn", "source_id"):
            stage.execute(
                f"UPDATE {ROWS} SET book_id = (SELECT b.id FROM catalog_book b "
                f"WHERE b.{name} = {ROWS}.{name}) WHERE book_id IS NULL AND {name} IS NOT NULL"
            )
        keyless = "isbn IS NULL AND source_id IS NULL AND identity IS NOT NULL"
        same = f"FROM catalog_book b WHERE b.identity = {ROWS}.identity"
        own = "b.isbn IS NULL AND b.source_id IS NULL"
        stage.execute(
            f"UPDATE {ROWS} SET book_id = (SELECT b.id {same} AND b.id = "
            f"(SELECT c.book_id FROM catalog_copy c WHERE c.barcode = {ROWS}.barcode)) "
            f"WHERE {keyless}"
        )
        stage.execute(
            f"UPDATE {ROWS} SET book_id = (SELECT MIN(b.id) {same} AND {own}) "
            f"WHERE {keyless} AND book_id IS NULL"
        )
        stage.refuse(
            f"SELECT line, title FROM {ROWS} WHERE {keyless} AND book_id IS NULL "
            f"AND (SELECT COUNT(*) {same}) > 1",
            "title",
            lambda: _("Several books have this title, author, language and year. Add the ISBN."),
        )
        stage.execute(
            f"UPDATE {ROWS} SET book_id = (SELECT MIN(b.id) {same}) "
            f"WHERE {keyless} AND book_id IS NULL"
        )

    def check(self, plan: Plan) -> None:
        stage = plan.stage
        copy_numbers.refuse_cards(stage)
        stage.refuse(
            f"SELECT s.line, s.barcode FROM {ROWS} s "
            "WHERE s.action = 'n' AND s.target_id IS NULL AND s.book_id IS NULL",
            "barcode",
            lambda: _("Say which book this is a copy of: by ISBN, record number or title."),
        )
        stage.refuse(
            f"SELECT s.line, s.barcode, b.title FROM {ROWS} s "
            "JOIN catalog_copy t ON t.id = s.target_id JOIN catalog_book b ON b.id = t.book_id "
            "WHERE s.action = 'n' AND s.book_id <> t.book_id",
            "barcode",
            lambda title: _("This barcode is on a copy of “%(title)s”.") % {"title": title[:100]},
        )
        free = ", ".join(f"'{status}'" for status in FREELY_SET)
        stage.refuse(
            f"SELECT s.line, s.status, t.status FROM {ROWS} s "
            "JOIN catalog_copy t ON t.id = s.target_id WHERE s.action = 'n' "
            f"AND s.status <> t.status AND NOT (s.status IN ({free}) AND t.status IN ({free}))",
            "status",
            lambda status: (
                _("The copy is: %(status)s. That is changed at the desk.")
                % {"status": CopyStatus(status).label}
            ),
        )

    def derive(self, plan: Plan) -> None:
        lent = plan.stage.count(
            f"SELECT COUNT(*) FROM {ROWS} WHERE action = 'n' AND desk_status IS NOT NULL"
        )
        if lent:
            plan.stage.warn(
                [
                    ngettext(
                        "%(count)d copy is noted as lent or reserved. It becomes available; "
                        "import the loans to have it lent.",
                        "%(count)d copies are noted as lent or reserved. They become available; "
                        "import the loans to have them lent.",
                        lent,
                    )
                    % {"count": lent}
                ]
            )

    def is_stale(self, plan: Plan) -> bool:
        return copy_numbers.names_a_card(plan.stage, "s.action = 'n'")


COPIES = Copies()
