"""The first change of what an import brought shows what was there before."""

import pytest

from alerts.histories import keep_before
from catalog.models import Copy, CopyStatus
from circulation.models import Reader
from tests.factories import MONDAY, lend, make_book, make_copy

pytestmark = pytest.mark.django_db


@pytest.fixture
def imported() -> Copy:
    """Return a copy without history, as a large import leaves it."""
    [copy] = Copy.objects.bulk_create([Copy(book=make_book(), barcode="0071")])
    return copy


def test_lending_an_imported_copy_shows_that_it_was_available(
    imported: Copy, anna: Reader, maria: Reader, rule: object
) -> None:
    lend(anna, imported, on=MONDAY, by=maria)
    after, before = imported.history.all()
    assert (before.history_type, before.status) == ("+", CopyStatus.AVAILABLE)
    assert before.history_user is None
    assert before.history_change_reason == "As it was before"
    assert (after.history_type, after.status) == ("~", CopyStatus.ON_LOAN)
    assert after.history_user == maria


def test_a_history_gets_its_first_entry_once(imported: Copy) -> None:
    for note in ("torn", "mended"):
        imported.note = note
        imported.save()
    assert [entry.note for entry in imported.history.all()] == ["mended", "torn", ""]


def test_what_has_a_history_gets_no_other_beginning() -> None:
    copy = make_copy()
    keep_before(Copy, [copy.pk])
    assert copy.history.count() == 1


def test_a_reader_of_an_import_signs_in_with_a_history_that_begins_before() -> None:
    [reader] = Reader.objects.bulk_create([Reader(email="ewa@example.org", last_name="Nowak")])
    reader.first_name = "Ewa"
    reader.save()
    after, before = reader.history.all()
    assert (before.first_name, after.first_name) == ("", "Ewa")
