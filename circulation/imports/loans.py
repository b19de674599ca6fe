"""The import of loans: a library moves in with what is lent, overdue or lost, and with its past.

Imported loans are facts: no block stands against them and no lending fee is charged for them. From
the policy they get the terms that a loan of today would get, so that renewals and fines go on.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog import resources
from catalog.imports import values
from catalog.imports.kinds import Column, Options, RowError, UnreadableError
from catalog.imports.planning import Key, Kind, Plan, StaleError
from catalog.imports.staging import ROWS
from catalog.imports.targets import Assignment, Target, column_types
from catalog.models import Book, Copy, CopyStatus
from circulation import policy, rules, terms
from circulation.imports.readers import (
    card_column,
    email_column,
    find_readers,
    refuse_changes,
)
from circulation.models import Loan

TERMS = (
    "loan_days", "max_renewals", "grace_days", "daily_fee", "fine_per_day", "fine_cap", "lost_fee",
)  # fmt: skip
NEW_TERMS = "import_terms"
IS_LENT = "s.action = 'n' AND s.actual_return_date IS NULL AND s.lost_date IS NULL"
IS_LOST = "s.action = 'n' AND s.actual_return_date IS NULL AND s.lost_date IS NOT NULL"


class Loans(Kind):
    """A loan is known by its record number, else by copy, reader and day."""

    name = "loans"
    model = Loan
    keys = (
        Key(("source_id",)),
        Key(("copy_id", "reader_id", "borrow_date"), is_fallback=True),
    )
    shown = ("barcode", "card_number", "email")
    exported = (
        ("source_id", "source_id"),
        ("barcode", "copy__barcode"),
        ("title", "copy__book__title"),
        ("card_number", "reader__card_number"),
        ("email", "reader__email"),
        ("borrow_date", "borrow_date"),
        ("expected_return_date", "expected_return_date"),
        ("actual_return_date", "actual_return_date"),
        ("lost_date", "lost_date"),
        ("renewals", "renewals"),
    )
    lookups = (
        ("barcode", "varchar(64)"),
        ("card_number", "varchar(64)"),
        ("email", "varchar(254)"),
    )

    def to_export(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """A check-out that was undone counts as never made."""
        return rows.filter(undone_at=None)

    def columns(self, options: Options) -> Sequence[Column]:
        past = values.past_day(timezone.localdate())
        return [
            Column(
                name="source_id",
                parse=values.text_for(Loan, "source_id"),
                keeps=True,
                aliases=("issue id", "issueid", "circ id", "loan id", "record number"),
            ),
            resources.barcode_column(required=True),
            card_column(),
            email_column(),
            Column(
                name="borrow_date",
                parse=past,
                required=True,
                aliases=(
                    "issuedate",
                    "issue date",
                    "xact start",
                    "checkout date",
                    "lent",
                    "date lent",
                    "data wypożyczenia",
                    "ausleihdatum",
                ),
            ),
            Column(
                name="expected_return_date",
                parse=values.day,
                keeps=True,
                aliases=("date due", "due date", "due", "termin zwrotu", "fälligkeitsdatum"),
            ),
            Column(
                name="actual_return_date",
                parse=past,
                aliases=(
                    "returndate",
                    "return date",
                    "checkin time",
                    "returned",
                    "data zwrotu",
                    "rückgabedatum",
                ),
            ),
            Column(name="lost_date", parse=past, aliases=("lost", "itemlost on")),
            Column(
                name="renewals",
                parse=values.whole(0, 1000),
                keeps=True,
                aliases=("renewals count", "renewal count", "prolongaty"),
            ),
        ]

    def staged(self, columns: Sequence[Column]) -> list[tuple[str, str]]:
        return [
            *super().staged(columns),
            *column_types(Loan, ("copy_id", "reader_id", *TERMS)),
        ]

    def assigned(self, present: frozenset[str], columns: Sequence[Column]) -> list[Assignment]:
        found = super().assigned(present, columns)
        return [*found, Assignment("copy_id"), Assignment("reader_id")]

    def complete(self, record: dict[str, Any]) -> None:
        lent = record["borrow_date"]
        for name, reason in (
            ("expected_return_date", _("It is due before it was lent.")),
            ("actual_return_date", _("It was returned before it was lent.")),
            ("lost_date", _("It was lost before it was lent.")),
        ):
            if record[name] and record[name] < lent:
                raise RowError(name, record[name], reason)
        if not record["barcode"]:
            raise RowError("barcode", "", _("This cell must not be empty."))
        if not record["card_number"] and not record["email"]:
            raise RowError("card_number", "", _("Say whose loan this is: by card number or email."))

    def resolve(self, plan: Plan) -> None:
        stage = plan.stage
        stage.execute(
            f"UPDATE {ROWS} SET copy_id = (SELECT c.id FROM catalog_copy c "
            f"WHERE c.barcode = {ROWS}.barcode)"
        )
        stage.refuse(
            f"SELECT line, barcode FROM {ROWS} WHERE action = 'n' AND copy_id IS NULL",
            "barcode",
            lambda: _("No copy has this barcode. Import the copies first."),
        )
        find_readers(plan)

    def refuse_repeated(self, plan: Plan) -> None:
        super().refuse_repeated(plan)
        plan.stage.refuse(
            f"SELECT s.line, s.barcode, f.line FROM {ROWS} s JOIN ("
            f"SELECT copy_id, MIN(line) AS line FROM {ROWS} WHERE action = 'n' "
            "AND actual_return_date IS NULL GROUP BY 1 HAVING COUNT(*) > 1) f "
            "ON f.copy_id = s.copy_id AND f.line <> s.line "
            "WHERE s.action = 'n' AND s.actual_return_date IS NULL",
            "barcode",
            lambda first: _("By line %(line)d this copy is out already.") % {"line": first},
        )

    def check(self, plan: Plan) -> None:
        stage = plan.stage
        stage.refuse(
            f"SELECT s.line, s.barcode FROM {ROWS} s JOIN circulation_loan t "
            "ON t.copy_id = s.copy_id AND t.actual_return_date IS NULL "
            "WHERE s.action = 'n' AND s.target_id IS NULL AND s.actual_return_date IS NULL",
            "barcode",
            lambda: _("This copy is out already, by another loan."),
        )
        stage.refuse(
            f"SELECT s.line, s.barcode, c.status FROM {ROWS} s "
            "JOIN catalog_copy c ON c.id = s.copy_id WHERE s.action = 'n' "
            "AND s.target_id IS NULL AND s.actual_return_date IS NULL AND c.status <> %s "
            "AND NOT (c.status = %s AND s.lost_date IS NOT NULL)",
            "barcode",
            lambda status: (
                _("The copy cannot be out: it is marked %(status)s.")
                % {"status": CopyStatus(status).label}
            ),
            [CopyStatus.AVAILABLE, CopyStatus.LOST],
        )

    def derive(self, plan: Plan) -> None:
        refuse_changes(
            plan,
            _(
                "This loan is here already, with another %(column)s. Loans are changed at the "
                "desk, not by an import."
            ),
        )
        self._set_terms(plan)

    def _set_terms(self, plan: Plan) -> None:
        """Give new loans their terms, and a due date where the file has none."""
        stage = plan.stage
        names = ("expected_return_date", *TERMS)
        stage.create(NEW_TERMS, [("line", "bigint"), *column_types(Loan, names)], key="line")
        try:
            found = _Terms()
            rows = stage.fetch(
                f"SELECT s.line, s.borrow_date, s.expected_return_date, r.category_id, "
                f"c.item_type_id, b.daily_fee FROM {ROWS} s "
                "JOIN circulation_reader r ON r.id = s.reader_id "
                "JOIN catalog_copy c ON c.id = s.copy_id JOIN catalog_book b ON b.id = c.book_id "
                "WHERE s.action = 'n'"
            )
            computed = [(line, *found.of(*facts)) for line, *facts in rows]
        except (rules.NoPolicyError, policy.NeverOpenError) as unset:
            raise UnreadableError(str(unset)) from unset
        stage.fill(NEW_TERMS, ("line", *names), computed)
        sets = ", ".join(f"{name} = n.{name}" for name in names)
        stage.execute(f"UPDATE {ROWS} SET {sets} FROM {NEW_TERMS} n WHERE n.line = {ROWS}.line")

    def lock(self, plan: Plan) -> None:
        plan.stage.execute(
            "SELECT 1 FROM catalog_copy c WHERE c.id IN "
            f"(SELECT s.copy_id FROM {ROWS} s WHERE s.action = 'n') "
            "ORDER BY c.id FOR NO KEY UPDATE"
        )

    def is_stale(self, plan: Plan) -> bool:
        return plan.stage.has(
            f"SELECT 1 FROM {ROWS} s JOIN circulation_loan t ON t.copy_id = s.copy_id "
            "AND t.actual_return_date IS NULL WHERE s.action = 'n' "
            "AND s.actual_return_date IS NULL"
        )

    def given(self) -> dict[str, tuple[str, list[object]]]:
        return {name: (f"s.{name}", []) for name in ("expected_return_date", *TERMS)}

    def write(self, plan: Plan, *, run_id: int, by_id: int | None, at: datetime) -> None:
        super().write(plan, run_id=run_id, by_id=by_id, at=at)
        for where, status, before in (
            (IS_LENT, CopyStatus.ON_LOAN, (CopyStatus.AVAILABLE,)),
            (IS_LOST, CopyStatus.LOST, (CopyStatus.AVAILABLE, CopyStatus.LOST)),
        ):
            _mark_copies(plan, where, status, before, run_id=run_id, by_id=by_id, at=at)


def _mark_copies(
    plan: Plan,
    where: str,
    status: CopyStatus,
    before: tuple[CopyStatus, ...],
    *,
    run_id: int,
    by_id: int | None,
    at: datetime,
) -> None:
    """Write the status of the copies that are out. Raises StaleError if one is elsewhere now."""
    stage, copies = plan.stage, Target(Copy, "copy_id", ())
    chosen = f"SELECT s.copy_id FROM {ROWS} s WHERE {where}"
    wanted = stage.count(f"SELECT COUNT(*) FROM ({chosen}) x")
    if not wanted:
        return
    copies.record_before(stage, ids=f"t.id IN ({chosen})", at=at)
    marks = ", ".join(["%s"] * len(before))
    marked = stage.execute(
        f"UPDATE catalog_copy SET status = %s WHERE status IN ({marks}) AND id IN ({chosen})",
        [status, *before],
    )
    if marked != wanted:
        raise StaleError
    copies.record(stage, ids=f"t.id IN ({chosen})", at=at, by_id=by_id, run_id=run_id)


class _Terms:
    """The terms of new loans, looked up once for each reader category and item type."""

    def __init__(self) -> None:
        self._calendar = rules.calendar()
        self._rules: dict[tuple[int | None, int | None], Any] = {}

    def of(
        self,
        borrow_date: date | str,
        expected: date | str | None,
        category_id: int | None,
        item_type_id: int | None,
        daily_fee: Any,
    ) -> tuple[Any, ...]:
        key = (category_id, item_type_id)
        if key not in self._rules:
            self._rules[key] = rules.applicable(category_id=category_id, item_type_id=item_type_id)[
                0
            ]
        rule = self._rules[key]
        book = Book(daily_fee=Decimal(str(daily_fee)).quantize(policy.CENT))
        granted = terms.at_check_out(rule, book)
        if expected is None:
            lent = date.fromisoformat(str(borrow_date))
            expected = policy.due_date(
                lent=lent, loan_days=rule.loan_days, calendar=self._calendar
            ).date
        return (str(expected), *(_plain(granted[name]) for name in TERMS))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


LOANS = Loans()
