"""How text is folded: for search, and to tell whether two records without an ISBN are one book."""

import re
import unicodedata
from hashlib import blake2b
from typing import TYPE_CHECKING

from catalog.isbn import isbn10

if TYPE_CHECKING:
    from catalog.models import Book

# Letters that Unicode does not decompose into a base letter and a mark.
UNDECOMPOSED = str.maketrans(
    {"ł": "l", "đ": "d", "ð": "d", "ø": "o", "ħ": "h", "ı": "i", "þ": "th", "æ": "ae", "œ": "oe"}
)
NOT_A_WORD = re.compile(r"[\W_]+")
# One character class of the first plane is fast; marks of rarer scripts are looked for one by one.
MARKS = re.compile(f"[{''.join(filter(unicodedata.combining, map(chr, range(0x10000))))}]+")
RARE = re.compile("[\U00010000-\U0010ffff]")
UNDECOMPOSED_LETTER = re.compile(f"[{''.join(map(chr, UNDECOMPOSED))}]")


def fold(raw: str) -> str:
    """Return lower-case words without accents, separated by single spaces: “Łódź!” is “lodz”."""
    if raw.isascii():
        return NOT_A_WORD.sub(" ", raw.lower()).strip()
    decomposed = unicodedata.normalize("NFKD", raw).casefold()
    bare = MARKS.sub("", decomposed)
    if RARE.search(bare):
        bare = "".join(char for char in bare if not unicodedata.combining(char))
    if UNDECOMPOSED_LETTER.search(bare):
        bare = bare.translate(UNDECOMPOSED)
    return NOT_A_WORD.sub(" ", bare).strip()


def identity(title: str, author: str, language: str, year: int | None) -> str:
    """Return the key by which a book without ISBN and record number is known.

    Case and spacing do not matter; accents and signs do (“C++” is not “C#”).
    """
    parts = (" ".join(part.casefold().split()) for part in (title, author, language))
    key = unicodedata.normalize("NFC", "\x1f".join((*parts, str(year or ""))))
    return blake2b(key.encode(), digest_size=16).hexdigest()


def search_columns(book: "Book") -> tuple[str, str]:
    """Return the folded title, and the folded rest of what a book is searched by."""
    rest = " ".join(
        (
            book.author,
            book.isbn or "",
            isbn10(book.isbn) if book.isbn else "",
            book.printed_isbn,
            book.subjects,
            book.publisher,
            book.call_number,
        )
    )
    return fold(book.title), fold(rest)
