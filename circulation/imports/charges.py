"""The import of charges: what readers owed in the system that a library comes from."""

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import drafts
from billing.models import Charge, ChargeKind
from catalog.imports import values
from catalog.imports.kinds import Column, Options, RowError
from catalog.imports.planning import Key, Kind, Plan
from catalog.imports.staging import ROWS
from catalog.imports.targets import Assignment, column_types
from circulation.imports.readers import (
    card_column,
    email_column,
    find_readers,
    refuse_changes,
)

COVERED_AT_ONCE = 500
KINDS = {
    "payment": ChargeKind.PAYMENT,
    "lending fee": ChargeKind.PAYMENT,
    "rental": ChargeKind.PAYMENT,
    "rent": ChargeKind.PAYMENT,
    "fee": ChargeKind.PAYMENT,
    "opłata": ChargeKind.PAYMENT,
    "gebühr": ChargeKind.PAYMENT,
    "fine": ChargeKind.FINE,
    "overdue": ChargeKind.FINE,
    "kara": ChargeKind.FINE,
    "mahngebühr": ChargeKind.FINE,
    "lost": ChargeKind.LOST,
    "lost item": ChargeKind.LOST,
    "lost copy": ChargeKind.LOST,
}


class Charges(Kind):
    """A charge is known by its record number, else by reader, kind, amount and description."""

    name = "charges"
    model = Charge
    keys = (
        Key(("source_id",)),
        Key(("reader_id", "kind", "amount", "description"), is_fallback=True),
    )
    shown = ("card_number", "email")
    exported = (
        ("source_id", "source_id"),
        ("card_number", "reader__card_number"),
        ("email", "reader__email"),
        ("kind", "kind"),
        ("amount", "amount"),
        ("description", "description"),
        ("due_date", "due_date"),
        ("owed", "owed"),
    )
    lookups = (("card_number", "varchar(64)"), ("email", "varchar(254)"))

    def to_export(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """What is still owed is for people to read; an import reads the amount."""
        return Charge.objects.filter(pk__in=rows.values("pk")).with_owed()

    def columns(self, options: Options) -> Sequence[Column]:
        return [
            Column(
                name="source_id",
                parse=values.text_for(Charge, "source_id"),
                keeps=True,
                aliases=("accountlines id", "accountlinesid", "billing id", "record number"),
            ),
            card_column(),
            email_column(),
            Column(
                name="kind",
                parse=values.one_of(KINDS),
                required=True,
                aliases=("type", "accounttype", "debit type code", "billing type", "rodzaj", "art"),
            ),
            Column(
                name="amount",
                parse=values.money(8),
                required=True,
                aliases=(
                    "amountoutstanding",
                    "amount outstanding",
                    "balance owed",
                    "money to pay",
                    "kwota",
                    "betrag",
                ),
            ),
            Column(
                name="description",
                parse=values.text_for(Charge, "description"),
                empty="",
                aliases=("note", "opis", "beschreibung"),
            ),
            Column(name="due_date", parse=values.day, aliases=("due", "date due")),
        ]

    def staged(self, columns: Sequence[Column]) -> list[tuple[str, str]]:
        return [*super().staged(columns), *column_types(Charge, ("reader_id",))]

    def assigned(self, present: frozenset[str], columns: Sequence[Column]) -> list[Assignment]:
        return [*super().assigned(present, columns), Assignment("reader_id")]

    def complete(self, record: dict[str, Any]) -> None:
        if not record["card_number"] and not record["email"]:
            raise RowError("card_number", "", _("Say who owes this: by card number or email."))
        record["description"] = record["description"] or ""

    def resolve(self, plan: Plan) -> None:
        find_readers(plan)

    def check(self, plan: Plan) -> None:
        plan.stage.refuse(
            f"SELECT line, amount FROM {ROWS} "
            "WHERE action = 'n' AND target_id IS NULL AND amount = 0",
            "amount",
            lambda: _("Nothing is owed by this row."),
        )

    def derive(self, plan: Plan) -> None:
        refuse_changes(
            plan,
            _(
                "This charge is here already, with another %(column)s. What is owed is waived or "
                "reduced on the charge's page, not changed by an import."
            ),
        )

    def finish(self, plan: Plan, *, run_id: int) -> None:
        """Let a payment wait for each new charge; the reconcile job does what is left undone."""
        while batch := _uncovered(run_id):
            drafts.cover(batch)

    def given(self) -> dict[str, tuple[str, list[object]]]:
        return {"assessed_date": ("%s", [timezone.localdate().isoformat()])}


def _uncovered(run_id: int) -> list[int]:
    new = drafts.uncovered().filter(import_run=run_id)
    return list(new.values_list("pk", flat=True)[:COVERED_AT_ONCE])


CHARGES = Charges()
