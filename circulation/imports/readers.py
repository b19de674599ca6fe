"""The import of readers: each is known by the card number, else by the email to sign in with."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from catalog.imports import values
from catalog.imports.derivation import rederive
from catalog.imports.kinds import Column, Options, RowError
from catalog.imports.planning import Key, Kind, Plan
from catalog.imports.staging import ROWS
from catalog.text import fold
from circulation.models import Reader, ReaderCategory
from circulation.readers import PHONE_VALIDATOR

CARD_NAMES = (
    "card", "cardnumber", "library card", "patron card", "patron barcode", "usrname",
    "numer karty", "nr karty", "ausweisnummer", "kartennummer", "ausweis",
)  # fmt: skip
EMAIL_NAMES = ("e-mail", "email address", "adres email", "mail")


class Readers(Kind):
    name = "readers"
    model = Reader
    keys = (Key(("card_number",)), Key(("email",)))
    derived = ("search_name",)
    exported = (
        *((name, name) for name in ("card_number", "email", "contact_email")),
        *((name, name) for name in ("first_name", "last_name")),
        ("category", "category__name"),
        *((name, name) for name in ("expiry_date", "is_blocked", "block_reason")),
        *((name, name) for name in ("phone", "language")),
    )

    def columns(self, options: Options) -> Sequence[Column]:
        return [
            card_column(),
            email_column(),
            Column(
                name="contact_email",
                parse=values.email,
                empty="",
                aliases=("emailpro", "parent email", "email do kontaktu"),
            ),
            Column(
                name="first_name",
                parse=values.text_for(Reader, "first_name"),
                empty="",
                aliases=("firstname", "first given name", "given name", "imię", "vorname"),
            ),
            Column(
                name="last_name",
                parse=values.text_for(Reader, "last_name"),
                empty="",
                aliases=("surname", "family name", "nazwisko", "nachname"),
            ),
            Column(
                name="category",
                into="category_id",
                parse=category(),
                aliases=("categorycode", "patron category", "profile", "kategoria", "kategorie"),
            ),
            Column(
                name="expiry_date",
                parse=values.day,
                aliases=(
                    "dateexpiry",
                    "expire date",
                    "expires",
                    "valid until",
                    "ważna do",
                    "gültig bis",
                ),
            ),
            Column(
                name="is_blocked", parse=values.truth, keeps=True, aliases=("blocked", "barred")
            ),
            Column(
                name="block_reason",
                parse=values.text_for(Reader, "block_reason"),
                empty="",
                aliases=("debarredcomment", "reason of the block"),
            ),
            Column(
                name="phone",
                parse=_phone,
                empty="",
                aliases=("telephone", "day phone", "mobile", "telefon"),
            ),
            Column(
                name="language",
                parse=values.text_for(Reader, "language"),
                empty="",
                aliases=("lang", "język", "sprache"),
            ),
        ]

    def fill_in(self, record: dict[str, Any]) -> None:
        names = f"{record['last_name'] or ''} {record['first_name'] or ''}"
        record["search_name"] = fold(names)[:310]

    def complete(self, record: dict[str, Any]) -> None:
        if not record["card_number"] and not record["email"]:
            raise RowError(
                "card_number", "", _("A reader is known by a card number or an email: give one.")
            )
        self.fill_in(record)

    def warnings_for(self, line: int, record: dict[str, Any]) -> list[str]:
        if not record["is_blocked"] or record["block_reason"]:
            return []
        return [_("Line %(line)d: the reader is blocked, and nothing says why.") % {"line": line}]

    def check(self, plan: Plan) -> None:
        """Barcodes and card numbers are one namespace: a scan must mean one thing."""
        plan.stage.refuse(
            f"SELECT s.line, s.card_number FROM {ROWS} s "
            "JOIN catalog_copy c ON c.barcode = s.card_number WHERE s.action = 'n'",
            "card_number",
            lambda: _("A copy has this number as its barcode. Use another one."),
        )

    def derive(self, plan: Plan) -> None:
        """A file never changes who may sign in to the back-office."""
        plan.stage.refuse(
            f"SELECT s.line, s.email FROM {ROWS} s "
            f"JOIN {plan.target.table} t ON t.id = s.target_id "
            "WHERE s.action = 'c' AND (t.is_staff OR t.is_superuser)",
            "",
            lambda: _("This is a member of staff. Change the account on its own page."),
        )
        rederive(plan)

    def is_stale(self, plan: Plan) -> bool:
        return plan.stage.has(
            f"SELECT 1 FROM {ROWS} s JOIN catalog_copy c ON c.barcode = s.card_number "
            "WHERE s.action IN ('n', 'c')"
        )

    def given(self) -> dict[str, tuple[str, list[object]]]:
        return {"password": ("%s", [make_password(None)])}


def card_column(*, extra: tuple[str, ...] = ()) -> Column:
    return Column(
        name="card_number",
        parse=values.code(64),
        keeps=True,
        is_code=True,
        aliases=(*CARD_NAMES, *extra),
    )


def email_column() -> Column:
    return Column(name="email", parse=values.email, keeps=True, aliases=EMAIL_NAMES)


def category() -> values.Parser:
    """Return a parser that takes the name of a reader category and returns its id."""
    known = values.ids_by_name(ReaderCategory.objects.values_list("name", "pk"))

    def parse(raw: str) -> int:
        try:
            return known[raw.casefold()]
        except KeyError:
            raise values.BadValueError(
                _("There is no reader category of this name. Add it first, or leave it empty.")
            ) from None

    return parse


def _phone(raw: str) -> str:
    try:
        PHONE_VALIDATOR(raw)
    except ValidationError as refused:
        raise values.BadValueError(refused.messages[0]) from refused
    if len(raw) > 40:
        raise values.BadValueError(_("This phone number is too long."))
    return raw


def find_readers(plan: Plan) -> None:
    """Fill in `reader_id` by card number, else by email; refuse rows whose reader is not there."""
    stage = plan.stage
    for name in ("card_number", "email"):
        stage.execute(
            f"UPDATE {ROWS} SET reader_id = (SELECT r.id FROM circulation_reader r "
            f"WHERE r.{name} = {ROWS}.{name}) WHERE reader_id IS NULL AND {name} IS NOT NULL"
        )
    stage.refuse(
        f"SELECT line, COALESCE(card_number, email) FROM {ROWS} "
        "WHERE action = 'n' AND reader_id IS NULL",
        "card_number",
        lambda: _("No reader has this card number or email. Import the readers first."),
    )


def refuse_changes(plan: Plan, reason: str) -> None:
    """Refuse rows about what is there already and differs: only the domain may change it."""
    difference = plan.target.first_difference(plan.stage, other="t")
    plan.stage.refuse(
        f"SELECT s.line, '', {difference} FROM {ROWS} s "
        f"JOIN \"{plan.target.table}\" t ON t.id = s.target_id WHERE s.action = 'c'",
        "",
        lambda column: reason % {"column": column},
    )


READERS = Readers()
