"""How the cells of a file become values (numbers, money, dates, codes), and why one is refused.

Every parser takes the text of a cell that is not empty and returns what the database is given
(text, a whole number, a truth value, or None); dates and money stay text in one fixed form.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.utils.translation import gettext as _

from catalog import isbn as isbns

Parser = Callable[[str], Any]

MOST_COPIES = 10_000
FIRST_YEAR, LAST_YEAR = -3000, 2999
FIRST_DATE = "1500-01-01"
MONEY = re.compile(r"([0-9]+)(?:[.,]([0-9]{1,2}))?")
WHOLE = re.compile(r"[0-9]+(?:[.]0)?")
YEAR = re.compile(r"[\[(]?(?:cop|ca|c|p|©)?[. ]?(-?[0-9]{1,4})[\])?.]{0,3}", re.IGNORECASE)
ISO_DATE = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?:[T ][0-9:.+Z-]*)?")
LOCAL_DATE = re.compile(
    r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})(?: [0-9:.]+(?: ?[AaPp]\.?[Mm]\.?)?)?"
)
QUALIFIER = re.compile(r"\s*\([^)]*\)\s*$|\s*:.*$")
CODE = re.compile(r"[\x21-\x7e]+")
YES = frozenset({"1", "yes", "y", "true", "t", "x", "tak", "ja", "oui", "si"})
NO = frozenset({"0", "no", "n", "false", "f", "nie", "nein", "non"})


class BadValueError(ValueError):
    """The cell cannot be taken; the message says why and what to write instead."""


class PrintedISBN(str):
    """An ISBN whose check digit is wrong, taken as printed because the operator chose so."""

    __slots__ = ()


def text(longest: int | None) -> Parser:
    """Return a parser that takes text as it stands, up to a length. Nothing is cut in silence."""
    if longest is None:
        return str

    def parse(raw: str) -> str:
        if len(raw) > longest:
            raise BadValueError(
                _("%(length)d characters are too long; at most %(longest)d fit.")
                % {"length": len(raw), "longest": longest}
            )
        return raw

    return parse


def text_for(model: type[models.Model], field_name: str) -> Parser:
    """Return the text parser with the length of a model's field."""
    return text(getattr(model._meta.get_field(field_name), "max_length", None))


def code(longest: int) -> Parser:
    """Return a parser for barcodes and card numbers: printable ASCII without spaces."""
    limited = text(longest)

    def parse(raw: str) -> Any:
        if not CODE.fullmatch(raw):
            raise BadValueError(_("Use letters, digits and signs without spaces or accents."))
        return limited(raw)

    return parse


def whole(lowest: int, highest: int) -> Parser:
    """Return a parser for a whole number in plain digits, within bounds."""

    def parse(raw: str) -> int:
        if not WHOLE.fullmatch(raw) or not lowest <= int(raw.removesuffix(".0")[:9]) <= highest:
            raise BadValueError(
                _("Write a whole number from %(lowest)d to %(highest)d, in digits only.")
                % {"lowest": lowest, "highest": highest}
            )
        if len(raw) > 11:
            raise BadValueError(_("This number is too large."))
        return int(raw.removesuffix(".0"))

    return parse


def money(digits: int) -> Parser:
    """Return a parser for an amount of at most `digits` digits before the decimal sign."""

    def parse(raw: str) -> str:
        found = MONEY.fullmatch(raw)
        if not found:
            raise BadValueError(
                _("Write an amount such as 1.50 or 1,50: digits, at most two decimals, no sign.")
            )
        units = found[1].lstrip("0") or "0"
        if len(units) > digits:
            raise BadValueError(_("This amount is too large."))
        return f"{units}.{(found[2] or '').ljust(2, '0')}"

    return parse


def year(raw: str) -> int:
    """Take a year, plain (1999), as catalogued (c1999, [1999?]) or out of a date."""
    found = YEAR.fullmatch(raw) or ISO_DATE.fullmatch(raw)
    local = LOCAL_DATE.fullmatch(raw)
    if found:
        number = int(found[1])
    elif local:
        number = int(local[4])
    else:
        raise BadValueError(_("Write a year such as 1999, or a date."))
    if not FIRST_YEAR <= number <= LAST_YEAR:
        raise BadValueError(_("No book is from that year."))
    return number


@lru_cache(maxsize=4096)
def day(raw: str) -> str:
    """Take a date in one of the unambiguous forms and return it as YYYY-MM-DD.

    With dots the day comes first. With slashes or hyphens it is whichever the numbers allow; where
    they allow both, the cell is refused. A time of day is dropped.
    """
    if iso := ISO_DATE.fullmatch(raw):
        return _date(int(iso[1]), int(iso[2]), int(iso[3]))
    local = LOCAL_DATE.fullmatch(raw)
    if not local:
        raise BadValueError(_("Write a date as YYYY-MM-DD, such as 2026-03-02."))
    first, second, in_year = int(local[1]), int(local[3]), int(local[4])
    if local[2] == "." or first > 12 or first == second:
        return _date(in_year, second, first)
    if second > 12:
        return _date(in_year, first, second)
    raise BadValueError(
        _("This date can be read as %(one)s or as %(other)s. Write it as YYYY-MM-DD.")
        % {"one": _date(in_year, second, first), "other": _date(in_year, first, second)}
    )


def _date(in_year: int, month: int, in_month: int) -> str:
    try:
        taken = date(in_year, month, in_month).isoformat()
    except ValueError:
        raise BadValueError(_("There is no such day in the calendar.")) from None
    if taken < FIRST_DATE:
        raise BadValueError(_("This date is too long ago to be meant."))
    return taken


def past_day(today: date) -> Parser:
    """Return a date parser that refuses the future; a day of grace is for time zones."""
    latest = (today + timedelta(days=1)).isoformat()

    def parse(raw: str) -> str:
        taken = day(raw)
        if taken > latest:
            raise BadValueError(_("This date is in the future."))
        return taken

    return parse


def truth(raw: str) -> bool:
    """Take yes or no in the usual spellings."""
    word = raw.casefold()
    if word in YES:
        return True
    if word in NO:
        return False
    raise BadValueError(_("Write yes or no."))


def one_of(words: Mapping[str, Any]) -> Parser:
    """Return a parser that takes the given words, whatever their case and spacing."""

    def parse(raw: str) -> Any:
        try:
            return words[" ".join(raw.casefold().replace("_", " ").replace("-", " ").split())]
        except KeyError:
            known = ", ".join(dict.fromkeys(str(value) for value in words.values() if value))
            raise BadValueError(_("Write one of: %(known)s.") % {"known": known}) from None

    return parse


def ids_by_name(rows: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return folded name -> id, for a parser that takes names."""
    return {name.casefold(): pk for name, pk in rows}


def email(raw: str) -> str:
    address = raw.lower()
    try:
        validate_email(address)
    except ValidationError:
        raise BadValueError(_("This is not an email address.")) from None
    if len(address) > 254:
        raise BadValueError(_("This email address is too long."))
    return address


def isbn(raw: str) -> str:
    """Take an ISBN in any usual notation and return its 13 digits.

    Other systems wrap it (="0804429573", [0804429573]), qualify it (0804429573 (pbk.)) or list
    several; the first one counts.
    """
    bare = QUALIFIER.sub("", raw.strip('="[] ').replace("|", ";").split(";")[0].strip())
    try:
        return isbns.normalise(bare)
    except ValidationError as refused:
        raise BadValueError(refused.messages[0]) from refused


def isbn_or_printed(raw: str) -> str:
    """Take an ISBN; one whose check digit is wrong comes back as PrintedISBN."""
    try:
        return isbn(raw)
    except BadValueError as refused:
        reason = refused.__cause__
        if isinstance(reason, ValidationError) and reason.code == "checksum" and len(raw) <= 40:
            return PrintedISBN(raw)
        raise
