"""The recurring jobs of the catalogue: thin, and each says in one sentence what it did."""

from datetime import date

from django.utils.translation import ngettext

from catalog import following, uploads
from catalog.imports import search_columns


def tidy_imports(_on: date | None = None) -> str:
    """Index what a killed import left unindexed, and delete uploads that nobody came back to.

    What is late is told by the clock, whatever the date.
    """
    search_columns.catch_up()
    count = uploads.discard_abandoned()
    return ngettext(
        "All imported books can be searched; %(count)d abandoned upload deleted.",
        "All imported books can be searched; %(count)d abandoned uploads deleted.",
        count,
    ) % {"count": count}


def announce_new_books(on: date | None = None) -> str:
    """Tell readers of new books by the authors they follow, whatever the day."""
    count = following.announce()
    return ngettext("%(count)d notice.", "%(count)d notices.", count) % {"count": count}
