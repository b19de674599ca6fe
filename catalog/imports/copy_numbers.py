"""The copies that an import of books brings: one per barcode, or as many as the file says."""

from collections import Counter
from datetime import datetime

from django.contrib.auth import get_user_model
from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from catalog import inventory
from catalog.imports.planning import Plan, StaleError, write_changes
from catalog.imports.staging import ROWS, Stage
from catalog.imports.targets import Target
from catalog.models import Copy, CopyStatus

NEW = "import_new_copy"
SURPLUS = "import_surplus"
BARCODES_AT_ONCE = 10_000
BOOKS_AT_ONCE = 500


def kept(book: str) -> str:
    """The SQL query for the number of a book's copies that are not withdrawn."""
    return (
        f"SELECT COUNT(*) FROM catalog_copy c WHERE c.book_id = {book} "
        f"AND c.status <> '{CopyStatus.WITHDRAWN}'"
    )


def match_barcodes(stage: Stage) -> None:
    """Find the copies that the rows name; refuse barcodes that repeat or are somebody's card."""
    refuse_repeated_barcodes(stage)
    stage.execute(
        f"UPDATE {ROWS} SET copy_id = (SELECT c.id FROM catalog_copy c "
        f"WHERE c.barcode = {ROWS}.barcode) WHERE action = 'n' AND barcode IS NOT NULL"
    )
    refuse_cards(stage)


def refuse_repeated_barcodes(stage: Stage) -> None:
    stage.execute(f"CREATE INDEX import_row_barcode ON {ROWS} (barcode)")
    stage.refuse(
        f"SELECT s.line, s.barcode, f.line FROM {ROWS} s JOIN ("
        f"SELECT barcode, MIN(line) AS line FROM {ROWS} WHERE action = 'n' "
        "AND barcode IS NOT NULL GROUP BY 1 HAVING COUNT(*) > 1) f "
        "ON f.barcode = s.barcode AND f.line <> s.line WHERE s.action = 'n'",
        "barcode",
        lambda first: _("This barcode is on line %(line)d already.") % {"line": first},
    )


def refuse_cards(stage: Stage) -> None:
    """Barcodes and card numbers are one namespace: a scan must mean one thing."""
    stage.refuse(
        f"SELECT s.line, s.barcode FROM {ROWS} s "
        f"JOIN \"{_readers()}\" r ON r.card_number = s.barcode WHERE s.action = 'n'",
        "barcode",
        lambda: _("This is the card number of a reader. Use another barcode."),
    )


def refuse_too_few(stage: Stage) -> None:
    """Refuse a number of copies below what is lent, on the hold shelf, in repair or lost."""
    stage.execute(
        f"UPDATE {ROWS} SET have = ({kept(f'{ROWS}.target_id')}) "
        "WHERE target_id IS NOT NULL AND copies IS NOT NULL"
    )
    busy = f"({kept('s.target_id')} AND c.status <> '{CopyStatus.AVAILABLE}')"
    stage.refuse(
        f"SELECT s.line, s.copies, {busy} FROM {ROWS} s "
        f"WHERE s.action = 'n' AND s.copies < s.have AND s.copies < {busy}",
        "copies",
        lambda used: (
            ngettext(
                "%(count)d copy is lent, reserved, in repair or lost; there cannot be fewer.",
                "%(count)d copies are lent, reserved, in repair or lost; there cannot be fewer.",
                used,
            )
            % {"count": used}
        ),
    )


def classify_pieces(stage: Stage, pieces: Target) -> None:
    """Mark the rows whose copy is new or changed."""
    usable = "action IN ('n', 'c', 'u', 'd') AND barcode IS NOT NULL"
    stage.execute(f"UPDATE {ROWS} SET copy_action = 'n' WHERE {usable} AND copy_id IS NULL")
    if not pieces.assigned:
        return
    stage.execute(
        f"UPDATE {ROWS} SET copy_action = 'c', copy_before = c.state FROM ("
        f"SELECT s.line, {pieces.state(stage)} AS state FROM {ROWS} s "
        f"JOIN catalog_copy t ON t.id = s.copy_id WHERE {pieces.difference(stage)}"
        f") c WHERE c.line = {ROWS}.line AND {usable}"
    )


def prepare(stage: Stage) -> None:
    """List the copies to make, with barcodes reserved for them, and the copies to withdraw."""
    stage.create(NEW, (("line", "bigint"), ("barcode", "varchar(64)")))
    stage.create(SURPLUS, (("copy_id", "bigint"),))
    missing = stage.fetch(
        f"SELECT line, copies - COALESCE(have, 0) FROM {ROWS} "
        "WHERE action IN ('n', 'c', 'u') AND copies > COALESCE(have, 0) ORDER BY line"
    )
    lines = [line for line, count in missing for _copy in range(count)]
    for start in range(0, len(lines), BARCODES_AT_ONCE):
        part = lines[start : start + BARCODES_AT_ONCE]
        barcodes = inventory.make_barcodes(len(part))
        stage.fill(NEW, ("line", "barcode"), list(zip(part, barcodes, strict=True)))
    stage.fill(SURPLUS, ("copy_id",), [(pk,) for pk in _surplus(stage)])


def _surplus(stage: Stage) -> list[int]:
    """Choose the free copies to withdraw: as at the desk, those missed least go first."""
    left = Counter(
        dict(
            stage.fetch(
                f"SELECT target_id, have - copies FROM {ROWS} "
                "WHERE action IN ('c', 'u') AND copies < have"
            )
        )
    )
    chosen = []
    books = sorted(left)
    for start in range(0, len(books), BOOKS_AT_ONCE):
        free = (
            Copy.objects.filter(
                status=CopyStatus.AVAILABLE, book_id__in=books[start : start + BOOKS_AT_ONCE]
            )
            .annotate(times_lent=Count("loans"))
            .order_by("book_id", "times_lent", "-has_generated_barcode", "-id")
        )
        for pk, book_id in free.values_list("pk", "book_id"):
            if left[book_id] > 0:
                left[book_id] -= 1
                chosen.append(pk)
    return chosen


def names_a_card(stage: Stage, where: str) -> bool:
    """Tell whether a barcode of the rows has become the number of a card."""
    return stage.has(
        f'SELECT 1 FROM {ROWS} s JOIN "{_readers()}" r ON r.card_number = s.barcode WHERE {where}'
    )


def is_stale(stage: Stage, pieces: Target, *, by_barcode: bool) -> bool:
    """Look again at numbers, at cards, and at the copies that a row describes."""
    if not by_barcode:
        return stage.has(
            f"SELECT 1 FROM {ROWS} s WHERE s.have IS NOT NULL AND s.have <> ({kept('s.target_id')})"
        )
    changed = "t.id IS NULL"
    if pieces.assigned:
        changed += f" OR {pieces.state(stage)} <> s.copy_before"
    return names_a_card(stage, "s.copy_action = 'n'") or stage.has(
        f"SELECT 1 FROM {ROWS} s LEFT JOIN catalog_copy t ON t.id = s.copy_id "
        f"WHERE s.copy_action = 'c' AND ({changed})"
    )


def write(
    plan: Plan,
    pieces: Target,
    new_book_id: tuple[str, list[object]],
    *,
    run_id: int,
    by_id: int | None,
    at: datetime,
) -> None:
    """Write the copies, inside the write transaction, after the books."""
    stage = plan.stage
    book_id, params = new_book_id
    book = (f"COALESCE(l.target_id, {book_id})", params)
    if "barcode" in plan.present:
        where = "s.copy_action = 'c'"
        write_changes(plan, pieces, run_id=run_id, by_id=by_id, at=at, where=where)
        pieces.insert(
            stage,
            source=f"FROM {ROWS} s JOIN {ROWS} l ON l.line = s.first_line "
            "WHERE s.copy_action = 'n' ORDER BY s.line",
            given={
                "book_id": book,
                "barcode": ("s.barcode", []),
                "import_run_id": ("%s", [run_id]),
            },
        )
        return
    Target(Copy, "copy_id", ()).insert(
        stage,
        source=f"FROM {NEW} s JOIN {ROWS} l ON l.line = s.line ORDER BY s.line",
        given={
            "book_id": book,
            "barcode": ("s.barcode", []),
            "has_generated_barcode": ("%s", [True]),
            "import_run_id": ("%s", [run_id]),
        },
    )
    _withdraw(stage, run_id=run_id, by_id=by_id, at=at)


def _withdraw(stage: Stage, *, run_id: int, by_id: int | None, at: datetime) -> None:
    copies = Target(Copy, "copy_id", ())
    surplus = stage.count(f"SELECT COUNT(*) FROM {SURPLUS}")
    if not surplus:
        return
    ids = f"t.id IN (SELECT copy_id FROM {SURPLUS})"
    copies.record_before(stage, ids=ids, at=at)
    withdrawn = stage.execute(
        f"UPDATE catalog_copy SET status = %s WHERE status = %s "
        f"AND id IN (SELECT copy_id FROM {SURPLUS})",
        [CopyStatus.WITHDRAWN, CopyStatus.AVAILABLE],
    )
    if withdrawn != surplus:
        raise StaleError
    copies.record(stage, ids=ids, at=at, by_id=by_id, run_id=run_id)


def _readers() -> str:
    return get_user_model()._meta.db_table
