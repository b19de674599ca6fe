"""The invariants of a whole installation, in one table, and those of the database itself."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from alerts import integrity as alerts
from billing import integrity as billing
from catalog import integrity as catalog
from circulation import integrity as circulation

OWN_APPS = ("alerts", "billing", "catalog", "circulation", "config")
MOST_LISTED = 100


@dataclass(frozen=True)
class Check:
    """One invariant: the sentence that must hold, and the function that finds where it does not."""

    sentence: Promise
    find: Callable[[], Iterable[str]]

    @property
    def name(self) -> str:
        return self.find.__name__


@dataclass(frozen=True)
class Result:
    """How many violations a check found; at most the first 100 are listed."""

    check: Check
    count: int
    listed: list[str]


def run() -> Iterator[Result]:
    """Run every check, one after the other, in memory that does not grow with the library."""
    for check in CHECKS:
        found = iter(check.find())
        listed = list(islice(found, MOST_LISTED))
        yield Result(check, len(listed) + sum(1 for _rest in found), listed)


def foreign_keys_point_to_rows() -> Iterator[str]:
    """PostgreSQL has no such check: there the constraint, which another check looks for, is one."""
    if connection.vendor == "sqlite":
        for table, row, parent, _number in _rows("PRAGMA foreign_key_check"):
            yield f"{table} row {row}: no such row in {parent}"


def the_database_file_is_sound() -> Iterator[str]:
    if connection.vendor == "sqlite":
        yield from (line for (line,) in _rows("PRAGMA quick_check") if line != "ok")


def the_database_has_its_constraints() -> Iterator[str]:
    for model in apps.get_models():
        if model._meta.app_label in OWN_APPS:
            yield from _missing_constraints(model)


def _missing_constraints(model: type[models.Model]) -> Iterator[str]:
    table = model._meta.db_table
    with connection.cursor() as cursor:
        present = connection.introspection.get_constraints(cursor, table)
    for constraint in model._meta.constraints:
        if constraint.name not in present:
            yield f"{table}: {constraint.name}"
    unique = [made["columns"] for made in present.values() if made["unique"]]
    pointing = [made["columns"] for made in present.values() if made["foreign_key"]]
    for field in model._meta.local_concrete_fields:
        if field.unique and not field.primary_key and [field.column] not in unique:
            yield f"{table}: unique {field.column}"
        if getattr(field, "db_constraint", False) and [field.column] not in pointing:
            yield f"{table}: foreign key {field.column}"


def _rows(sql: str) -> Iterator[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        while rows := cursor.fetchmany(MOST_LISTED):
            yield from rows


CHECKS = (
    Check(
        _("What goes as one message has one channel, recipient and kind."),
        alerts.a_message_goes_to_one_recipient,
    ),
    Check(
        _("A copy marked as on loan has an open loan."),
        circulation.copies_on_loan_have_an_open_loan,
    ),
    Check(
        _("The copy of an open loan is marked as on loan."),
        circulation.copies_of_open_loans_are_on_loan,
    ),
    Check(
        _("A copy marked as on the hold shelf has a hold that is ready."),
        circulation.copies_on_the_hold_shelf_have_a_ready_hold,
    ),
    Check(
        _("The copy of a ready hold is marked as on the hold shelf."),
        circulation.copies_of_ready_holds_are_on_the_hold_shelf,
    ),
    Check(
        _("The copy of a ready hold is one of its book."),
        circulation.copies_of_ready_holds_are_of_the_book,
    ),
    Check(
        _("A copy that a reader lost is marked as lost or withdrawn."),
        circulation.copies_that_readers_lost_are_out_of_circulation,
    ),
    Check(
        _("A copy has at most one loan that was not returned."),
        circulation.a_copy_has_one_unreturned_loan,
    ),
    Check(_("A copy has at most one ready hold."), circulation.a_copy_has_one_ready_hold),
    Check(
        _("A reader has at most one active hold on a book."),
        circulation.a_reader_has_one_active_hold_on_a_book,
    ),
    Check(
        _("No two readers have the same email, whatever the case."),
        circulation.an_email_has_one_reader,
    ),
    Check(
        _("No card has the number of a copy's barcode."),
        circulation.cards_and_barcodes_share_no_number,
    ),
    Check(
        _("The name that a reader is searched by is current."),
        circulation.names_to_search_by_are_current,
    ),
    Check(
        _("The fines of a loan come to no more than its cap."),
        circulation.fines_stay_within_the_cap_of_their_loan,
    ),
    Check(
        _("A fine grows only while its loan is open, for its present due date."),
        circulation.only_fines_of_open_loans_grow,
    ),
    Check(
        _("A charge is owed by the reader of its loan."),
        circulation.charges_are_owed_by_the_reader_of_their_loan,
    ),
    Check(
        _("A loan that was undone is over, and nothing is owed for it."),
        circulation.undone_loans_are_over_and_owe_nothing,
    ),
    Check(
        _("A replacement is owed only while the copy is lost."),
        circulation.only_lost_loans_owe_a_replacement,
    ),
    Check(
        _("No more is paid and taken off a charge than its amount."),
        billing.charges_are_not_overdrawn,
    ),
    Check(
        _("For every charge that is owed exactly one payment waits."),
        billing.open_charges_wait_in_one_payment,
    ),
    Check(
        _("A payment that waits asks for what is owed, and a session for no more."),
        billing.payments_ask_for_what_is_owed,
    ),
    Check(
        _("A payment that waits asks for the sum of its charges."),
        billing.payments_ask_for_the_sum_of_their_charges,
    ),
    Check(
        _("What a payment covers is open, paid or released as the payment is."),
        billing.allocations_stand_as_their_payment,
    ),
    Check(
        _("A payment covers no more than was paid, and no credit is negative."),
        billing.payments_cover_no_more_than_was_paid,
    ),
    Check(
        _("The refunds of a payment come to what was given back of it."),
        billing.refunds_come_to_what_was_given_back,
    ),
    Check(
        _("A payment is marked as refunded when all of it was given back."),
        billing.payments_are_refunded_when_all_is_given_back,
    ),
    Check(
        _("A payment is made by the reader who owes what it covers."),
        billing.payments_are_made_by_who_owes,
    ),
    Check(
        _("The columns that a book is searched and known by are current."),
        catalog.derived_columns_are_current,
    ),
    Check(_("The search index agrees with the books."), catalog.search_index_is_current),
    Check(_("Every reference points to a row."), foreign_keys_point_to_rows),
    Check(_("The database file is sound."), the_database_file_is_sound),
    Check(
        _("The database has every constraint that Carrel relies on."),
        the_database_has_its_constraints,
    ),
)
