"""Import of books: which book is the same book, copies by number and by barcode, all or nothing."""

import pytest

from catalog import imports, inventory
from catalog.imports import search_columns
from catalog.models import Book, Copy, CopyStatus, ImportRun, ItemType
from catalog.search import search
from circulation import desk
from tests.factories import MONDAY, make_book, make_copy, make_reader
from tests.importing import counts, reasons, run

pytestmark = pytest.mark.django_db
HEADER = "title,author,isbn,source_id,language,published_year\n"


def test_the_same_file_again_changes_nothing() -> None:
    content = HEADER + "Dune,Herbert,9780441172719,,en,1965\nSolaris,Lem,,s1,pl,1961\nEdda,,,,is,\n"
    assert counts(run("books", content)) == (3, 0, 0, 0)
    assert counts(run("books", content)) == (0, 0, 3, 0)
    assert Book.objects.count() == 3


def test_a_dry_run_writes_nothing_and_the_import_does_what_it_counted() -> None:
    make_book("Dune", isbn="9780441172719", author="Herbert")
    content = HEADER + "Dune!,Herbert,9780441172719,,,\nSolaris,,,,,\n,,,,,x\n"
    before = run("books", content, dry_run=True, skip_invalid=True)
    assert (Book.objects.count(), ImportRun.objects.count()) == (1, 0)
    assert counts(before) == (1, 1, 0, 1)
    assert counts(run("books", content, skip_invalid=True)) == counts(before)
    assert Book.objects.count() == 2


def test_every_notation_of_an_isbn_is_one_book() -> None:
    run("books", HEADER + "Essays,A,080442957X,,,\n")
    report = run("books", HEADER + "Essays,A,978-0-8044-2957-3,,,\n")
    assert counts(report) == (0, 0, 1, 0)


def test_a_bad_check_digit_is_an_error_unless_it_is_accepted() -> None:
    content = HEADER + "Dune,Herbert,9780441172710,,,\n"
    assert "check digit" in reasons(run("books", content))[2, "isbn"]
    report = run("books", content, accept_bad_isbn=True)
    assert counts(report) == (1, 0, 0, 0)
    assert any("9780441172710" in warning for warning in report.warnings)
    book = Book.objects.get()
    assert (book.isbn, book.printed_isbn) == (None, "9780441172710")
    assert counts(run("books", content, accept_bad_isbn=True)) == (0, 0, 1, 0)


def test_without_isbn_and_number_a_book_is_known_by_its_title_page() -> None:
    run("books", HEADER + "Dune,Herbert,,,en,1965\n")
    content = HEADER + "DUNE ,herbert,,,EN,1965\nDune,Herbert,,,en,1984\nDune,Anon,,,en,1965\n"
    assert counts(run("books", content)) == (2, 1, 0, 0)


def test_rows_without_isbn_are_not_duplicates_of_each_other() -> None:
    assert counts(run("books", HEADER + "A,,,,,\nB,,,,,\nC,,,,,\n")) == (3, 0, 0, 0)


@pytest.mark.parametrize(
    "rows",
    [
        "Dune,Herbert,9780441172719,,,\nDune II,Herbert,9780441172719,,,\n",
        "Dune,Herbert,,s1,,\nDune,Other,,s1,,\n",
        "Dune,Herbert,9780441172719,s1,,\nDune,Herbert,,s1,,\n",
        "Dune,Herbert,,,,\nDUNE,Herbert,,,,\n",
    ],
)
def test_two_unlike_rows_of_one_book_are_an_error_and_never_merged(rows: str) -> None:
    report = run("books", HEADER + rows)
    assert counts(report) == (1, 0, 0, 1)
    assert report.errors[0].line == 3
    assert "line 2" in report.errors[0].reason
    assert not Book.objects.exists()


def test_two_rows_that_say_the_same_are_one_book() -> None:
    row = "Dune,Herbert,9780441172719,,,\n"
    assert counts(run("books", HEADER + row + row)) == (1, 0, 1, 0)
    assert Book.objects.count() == 1


def test_keys_of_two_different_books_in_one_row_are_an_error() -> None:
    make_book("Dune", isbn="9780441172719")
    make_book("Solaris", source_id="s1")
    report = run("books", HEADER + "Dune,Herbert,9780441172719,s1,,\n")
    assert (2, "source_id") in reasons(report)


def test_a_title_page_that_several_books_share_is_an_error() -> None:
    make_book("Dune", author="H", source_id="1")
    make_book("Dune", author="H", source_id="2")
    report = run("books", HEADER + "Dune,H,,,,\n")
    assert "Several books" in reasons(report)[2, "title"]


def test_one_wrong_row_in_a_thousand_writes_none_or_the_others() -> None:
    rows = [f"Book {n},A,,s{n},en,1999\n" for n in range(1000)]
    rows[499] = "Book 499,A,,s499,en,MCM\n"
    content = HEADER + "".join(rows)
    assert counts(run("books", content)) == (999, 0, 0, 1)
    assert not Book.objects.exists()
    assert ImportRun.objects.get().status == ImportRun.Status.REFUSED
    report = run("books", content, skip_invalid=True)
    assert Book.objects.count() == 999
    assert report.error_file
    assert [error.as_list()[:3] for error in report.errors] == [[501, "published_year", "MCM"]]


def test_an_import_is_a_run_that_its_rows_point_to(maria: object) -> None:
    report = run("books", "title,copies\nDune,2\n", by=maria, name="old system.csv")
    done = ImportRun.objects.get(pk=report.run_id or 0)
    assert (done.by, done.file_name, done.kind) == (maria, "old system.csv", "books")
    assert len(done.file_hash) == 64
    assert done.options["headers"] == [["title", "title"], ["copies", "copies"]]
    assert (done.rows_read, done.rows_new) == (1, 1)
    assert Book.objects.get().import_run == done
    assert {copy.import_run for copy in Copy.objects.all()} == {done}


def test_a_change_shows_before_and_after_in_the_history(maria: object) -> None:
    run("books", "title,source_id\nDun,1\n")
    report = run("books", "title,source_id\nDune,1\n", by=maria)
    after, before = Book.objects.get().history.all()
    assert [before.title, after.title] == ["Dun", "Dune"]
    assert after.history_user == maria
    assert str(report.run_id) in after.history_change_reason


def test_a_column_that_the_file_lacks_is_left_alone_and_an_empty_cell_empties() -> None:
    make_book("Dune", isbn="9780441172719", publisher="Ace", subjects="desert", cover="HARD")
    run("books", "title,isbn,publisher,cover\nDune,9780441172719,,\n")
    book = Book.objects.get()
    assert (book.publisher, book.subjects, book.cover) == ("", "desert", "HARD")


def test_imported_and_changed_books_are_found() -> None:
    run("books", "title,source_id,subjects\nŁódź,1,żeglarstwo\n")
    assert search("lodz").count() == 1
    run("books", "title,source_id\nKraków,1\n")
    assert search("lodz").count() == 0
    assert search("krakow zeglarstwo").count() == 1


def test_many_new_books_are_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.imports.search_columns.MOST_AT_ONCE", 3)
    run("books", "title,source_id\n" + "".join(f"Book number{n},{n}\n" for n in range(10)))
    assert search("number7").get().title == "Book number7"
    assert ImportRun.objects.get().is_searchable


def test_what_a_killed_import_left_unindexed_is_made_up_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("catalog.imports.search_columns.MOST_AT_ONCE", 3)
    monkeypatch.setattr("catalog.imports.search_columns.write_late", lambda *a, **k: None)
    run("books", "title,source_id\n" + "".join(f"Book number{n},{n}\n" for n in range(5)))
    ImportRun.objects.update(finished_at="2026-01-01T00:00:00Z")
    search_columns.catch_up()
    assert search("number4").count() == 1


# Copies


def test_a_number_of_copies_makes_them_with_barcodes_of_our_own() -> None:
    run("books", "title,copies\nDune,3\nSolaris,0\nEdda,\n")
    assert Book.objects.get(title="Dune").copies.filter(has_generated_barcode=True).count() == 3
    assert Copy.objects.count() == 3
    again = run("books", "title,inventory\nDune,3\nSolaris,0\nEdda,\n")
    assert counts(again) == (0, 0, 3, 0)


def test_made_barcodes_skip_codes_that_a_copy_or_a_card_has() -> None:
    first, second, third = inventory.make_barcodes(3)
    number = int(first[1:])
    codes = [f"C{number + n:08d}" for n in range(3, 6)]
    make_copy(barcode=codes[0])
    make_reader(card_number=codes[1])
    run("books", "title,copies\nDune,2\n")
    made = set(Copy.objects.filter(book__title="Dune").values_list("barcode", flat=True))
    assert not made & {first, second, third, codes[0], codes[1]}


def test_the_number_counts_lent_lost_and_repaired_copies() -> None:
    book = make_book("Dune", source_id="1")
    make_copy(book, status=CopyStatus.IN_REPAIR)
    make_copy(book, status=CopyStatus.LOST)
    make_copy(book, status=CopyStatus.WITHDRAWN)
    desk.check_out(make_reader(), make_copy(book), on=MONDAY)
    content = 'title,author,source_id,copies\nDune,"Lem, Stanisław",1,{}\n'
    assert counts(run("books", content.format(3))) == (0, 0, 1, 0)
    report = run("books", content.format(2))
    assert "3 copies are lent" in reasons(report)[2, "copies"]
    assert counts(run("books", content.format(4))) == (0, 1, 0, 0)
    assert book.copies.filter(status=CopyStatus.AVAILABLE).count() == 1


def test_surplus_copies_are_withdrawn_those_missed_least_first() -> None:
    book = make_book("Dune", source_id="1")
    lent = make_copy(book, barcode="LENT", has_generated_barcode=True)
    desk.check_out(make_reader(), lent, on=MONDAY)
    desk.check_in(lent, on=MONDAY, today=MONDAY)
    make_copy(book, barcode="OURS", has_generated_barcode=True)
    make_copy(book, barcode="THEIRS")
    run("books", 'title,author,source_id,copies\nDune,"Lem, Stanisław",1,2\n')
    withdrawn = book.copies.get(status=CopyStatus.WITHDRAWN)
    assert withdrawn.barcode == "OURS"
    assert [h.status for h in withdrawn.history.all()] == ["withdrawn", "available"]
    run("books", 'title,author,source_id,copies\nDune,"Lem, Stanisław",1,1\n')
    assert book.copies.get(status=CopyStatus.AVAILABLE).barcode == "LENT"


def test_the_same_isbn_with_two_barcodes_is_one_book_with_two_copies() -> None:
    content = "title,isbn,barcode\nDune,9780441172719,000123\nDune,9780441172719,B2\n"
    assert counts(run("books", content)) == (2, 0, 0, 0)
    assert sorted(Book.objects.get().copies.values_list("barcode", flat=True)) == ["000123", "B2"]
    assert counts(run("books", content)) == (0, 0, 2, 0)


def test_the_same_barcode_twice_is_an_error() -> None:
    report = run("books", "title,isbn,barcode\nDune,9780441172719,B1\nSolaris,,B1\n")
    assert "line 2" in reasons(report)[3, "barcode"]
    report = run("books", "title,barcode\nDune,B1\nDune,B1\n")
    assert (3, "barcode") in reasons(report)


def test_a_book_whose_first_row_is_wrong_is_made_from_the_next() -> None:
    report = run("books", "title,barcode\nEdda,B1\nDune,B1\nDune,B2\n", skip_invalid=True)
    assert counts(report) == (2, 0, 0, 1)
    assert Copy.objects.get(barcode="B2").book.title == "Dune"


def test_a_barcode_of_another_book_or_of_a_card_is_an_error() -> None:
    make_copy(make_book("Solaris"), barcode="B1")
    make_reader(card_number="R1")
    found = reasons(run("books", "title,barcode\nDune,B1\nEdda,R1\n"))
    assert "Solaris" in found[2, "barcode"]
    assert "card number" in found[3, "barcode"]


def test_rows_per_copy_describe_the_copies() -> None:
    ItemType.objects.create(name="DVD")
    content = "title,barcode,item_type,price,note\nDune,B1,dvd,{},torn\n"
    run("books", content.format("10"))
    assert counts(run("books", content.format("12.50"))) == (0, 1, 0, 0)
    copy = Copy.objects.get()
    assert (str(copy.price), copy.note, str(copy.item_type)) == ("12.50", "torn", "DVD")
    assert [str(h.price) for h in copy.history.all()] == ["12.50", "10.00"]


def test_numbers_and_barcodes_in_one_file_are_refused() -> None:
    with pytest.raises(imports.UnreadableError, match="both"):
        run("books", "title,copies,barcode\nDune,1,B1\n")


def test_books_without_any_word_about_copies_get_none_unless_asked_for() -> None:
    report = run("books", "title\nDune\n")
    assert not Copy.objects.exists()
    assert any("none yet" in warning for warning in report.warnings)
    run("books", "title\nDune\nSolaris\n", copies=2)
    assert Copy.objects.count() == 2
    assert set(Copy.objects.values_list("book__title", flat=True)) == {"Solaris"}
