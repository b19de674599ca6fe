"""What an import of books and of copies reads: the columns, and the words other systems use."""

from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.imports import values
from catalog.imports.kinds import Column, Options
from catalog.models import Book, Copy, Cover, ItemType

COVERS = {
    "hard": Cover.HARD,
    "hardcover": Cover.HARD,
    "hardback": Cover.HARD,
    "hard cover": Cover.HARD,
    "library binding": Cover.HARD,
    "twarda": Cover.HARD,
    "gebunden": Cover.HARD,
    "soft": Cover.SOFT,
    "softcover": Cover.SOFT,
    "soft cover": Cover.SOFT,
    "paperback": Cover.SOFT,
    "mass market paperback": Cover.SOFT,
    "trade paperback": Cover.SOFT,
    "miękka": Cover.SOFT,
    "taschenbuch": Cover.SOFT,
    "broschiert": Cover.SOFT,
}


def book_columns(options: Options) -> list[Column]:
    """Return the columns that describe a book; in our words and those of other systems."""
    return [
        Column(
            name="title",
            parse=values.text_for(Book, "title"),
            required=True,
            aliases=("245$a", "book title", "full title", "tytuł", "titel", "titre"),
        ),
        Column(
            name="author",
            parse=values.text_for(Book, "author"),
            empty="",
            aliases=(
                "authors",
                "creator",
                "primary author",
                "author (last, first)",
                "author l-f",
                "100$a",
                "autor",
                "autorzy",
                "verfasser",
                "auteur",
            ),
        ),
        Column(
            name="isbn",
            parse=values.isbn_or_printed if options.accept_bad_isbn else values.isbn,
            keeps=True,
            aliases=("isbn13", "isbn-13", "isbn10", "isbns", "020$a"),
        ),
        Column(
            name="printed_isbn",
            parse=values.text_for(Book, "printed_isbn"),
            keeps=True,
        ),
        Column(
            name="source_id",
            parse=values.text_for(Book, "source_id"),
            keeps=True,
            aliases=(
                "text#",
                "biblionumber",
                "biblio.biblionumber",
                "book id",
                "bib id",
                "bibid",
                "record id",
                "record number",
                "control number",
                "tcn",
                "tcn value",
                "001",
                "work id",
            ),
        ),
        Column(
            name="cover",
            parse=values.one_of(COVERS),
            keeps=True,
            aliases=("binding", "okładka", "oprawa", "einband"),
        ),
        Column(
            name="daily_fee",
            parse=values.money(6),
            keeps=True,
            aliases=("fee", "daily rate", "rental charge", "opłata dzienna", "tagesgebühr"),
        ),
        Column(
            name="publisher",
            parse=values.text_for(Book, "publisher"),
            empty="",
            aliases=("publishercode", "publisher name", "wydawca", "wydawnictwo", "verlag"),
        ),
        Column(
            name="published_year",
            parse=values.year,
            aliases=(
                "issued",
                "year published",
                "published",
                "publication year",
                "publicationyear",
                "copyrightdate",
                "pubdate",
                "publication date",
                "original publication year",
                "year",
                "date",
                "rok wydania",
                "rok",
                "erscheinungsjahr",
                "jahr",
            ),
        ),
        Column(
            name="language",
            parse=values.text_for(Book, "language"),
            empty="",
            aliases=("languages", "language code", "lang", "język", "sprache"),
        ),
        Column(
            name="subjects",
            parse=values.text_for(Book, "subjects"),
            empty="",
            aliases=("subject", "tags", "temat", "tematy", "hasła", "schlagworte"),
        ),
        Column(
            name="call_number",
            parse=values.text_for(Book, "call_number"),
            empty="",
            aliases=(
                "locc",
                "lcc",
                "lc classification",
                "itemcallnumber",
                "call number label",
                "callnumber",
                "dewey decimal",
                "dewey",
                "ddc",
                "shelfmark",
                "sygnatura",
                "signatur",
            ),
        ),
    ]


def barcode_column(*, required: bool = False) -> Column:
    return Column(
        name="barcode",
        required=required,
        parse=values.code(64),
        is_code=True,
        aliases=("item barcode", "copy barcode", "items.barcode", "kod kreskowy", "strichcode"),
    )


def piece_columns() -> list[Column]:
    """Return the columns that describe a copy beside its barcode."""
    return [
        Column(
            name="item_type",
            into="item_type_id",
            parse=item_type(),
            aliases=("itype", "itemtype", "item type", "circ modifier", "medium"),
        ),
        Column(
            name="price",
            parse=values.money(6),
            aliases=("replacementprice", "replacement price", "cena", "preis"),
        ),
        Column(
            name="note",
            parse=values.text_for(Copy, "note"),
            empty="",
            aliases=("itemnotes", "item notes", "notes", "uwagi", "notiz"),
        ),
        Column(
            name="acquired_date",
            parse=values.past_day(timezone.localdate()),
            aliases=("dateaccessioned", "acquired", "date acquired", "date added"),
        ),
    ]


def item_type() -> values.Parser:
    """Return a parser that takes the name of an item type and returns its id."""
    known = values.ids_by_name(ItemType.objects.values_list("name", "pk"))

    def parse(raw: str) -> int:
        try:
            return known[raw.casefold()]
        except KeyError:
            raise values.BadValueError(
                _("There is no item type of this name. Add it first, or leave the cell empty.")
            ) from None

    return parse
