"""Readers found for the admin's search boxes."""

from django.db.models import Q, QuerySet

from alerts.backoffice.paging import any_of
from circulation import desk_readers
from circulation.models import Reader


def readers_matching(term: str, readers: QuerySet[Reader] | None = None) -> QuerySet[Reader]:
    """Return the readers with this card, this beginning of an email, or these words of a name."""
    readers = Reader.objects.all() if readers is None else readers
    term = term.replace("\x00", " ").strip()[:200]
    if not term:
        return readers
    named = desk_readers.by_name(" ".join(term.split()[:8])).order_by().values("pk")
    found = [Q(card_number=term), Q(pk__in=named)]
    if "@" in term:
        found += [Q(email__startswith=term.lower()), Q(contact_email__istartswith=term)]
    return any_of(readers, *found)
