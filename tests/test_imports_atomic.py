"""Import: nothing or all, whatever happens beside it, and the desk need not wait."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from django.db import connection, connections

from catalog import imports
from catalog.imports.books import BOOKS, Books
from catalog.imports.planning import Plan
from catalog.models import Book, Copy, ImportRun
from circulation import desk
from tests.factories import make_book, make_copy, make_reader
from tests.importing import counts, run

pytestmark = pytest.mark.django_db(transaction=True)
Act = Callable[[], object]
ROOT = Path(__file__).parent.parent


def beside(act: Callable[[], object]) -> None:
    """Do something in another connection."""

    def in_thread() -> None:
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> list[Act]:
    """Acts to be done by somebody else after the plan is made, before it is written."""
    acts: list[Act] = []
    prepare = Books.prepare

    def interrupted(self: Books, plan: Plan) -> None:
        prepare(self, plan)
        if acts:
            beside(acts.pop(0))

    monkeypatch.setattr(Books, "prepare", interrupted)
    return acts


def test_an_import_plans_again_when_somebody_changed_what_it_relied_on(between: list[Act]) -> None:
    make_book("Dune", isbn="9780441172719", author="")
    between.append(lambda: Book.objects.update(title="Changed by hand"))
    report = run("books", "title,isbn\nDune II,9780441172719\n")
    assert counts(report) == (0, 1, 0, 0)
    assert Book.objects.get().history.first().title == "Dune II"


@pytest.mark.parametrize(
    ("act", "wrong"),
    [
        pytest.param(lambda: make_book("Other", isbn="9780441172719"), 0, id="isbn"),
        pytest.param(lambda: make_book("dune", author="", language="en"), 0, id="title"),
        pytest.param(lambda: make_copy(make_book("Other"), barcode="B1"), 1, id="barcode"),
        pytest.param(lambda: make_reader(card_number="B1"), 1, id="card"),
    ],
)
def test_what_appears_in_between_is_seen(
    between: list[Act], act: Callable[[], object], wrong: int
) -> None:
    between.append(act)
    content = "title,isbn,language,barcode\nDune,9780441172719,,B1\nDune,,en,B2\n"
    report = run("books", content, skip_invalid=True)
    assert report.wrong == wrong
    assert ImportRun.objects.count() == 1
    assert Book.objects.filter(title__iexact="dune", language="en").count() == 1
    assert Book.objects.filter(isbn="9780441172719").count() == 1 - wrong
    assert Copy.objects.filter(barcode="B1").exists() or wrong


def test_copies_lent_in_between_are_seen(between: list[Act]) -> None:
    book = make_book("Dune", author="", source_id="1")
    first, _second = make_copy(book), make_copy(book)
    reader = make_reader()
    between.append(lambda: desk.check_out(reader, first))
    report = run("books", "title,source_id,copies\nDune,1,0\n")
    assert counts(report) == (0, 0, 0, 1)
    assert book.copies.filter(status="withdrawn").count() == 0


def test_an_import_that_is_overtaken_every_time_writes_nothing(
    between: list[Act], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_book("Dune", isbn="9780441172719", author="")
    between.extend(partial(Book.objects.update, title=name) for name in ("one", "two", "three"))
    with pytest.raises(imports.StoppedError, match="nothing was"):
        run("books", "title,isbn,copies\nDune II,9780441172719,3\nNew,,1\n")
    assert Book.objects.get().title == "three"
    assert not Copy.objects.exists()
    assert not ImportRun.objects.exists()


def test_a_failure_while_writing_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("catalog.imports.copy_numbers.write", fail)
    with pytest.raises(RuntimeError):
        run("books", "title,copies\nDune,3\n")
    assert not Book.objects.exists()
    assert not ImportRun.objects.exists()
    monkeypatch.undo()
    assert counts(run("books", "title,copies\nDune,3\n")) == (1, 0, 0, 0)


def test_two_imports_of_one_file_at_once_make_each_book_once() -> None:
    content = "title,copies\n" + "".join(f"Book {n},1\n" for n in range(300))

    def in_thread() -> None:
        try:
            run("books", content)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=in_thread) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Book.objects.count() == 300
    assert Copy.objects.count() == 300


KILLED_AFTER = """
import os, signal, sys
import django
django.setup()
from catalog import imports
from catalog.imports import copy_numbers
written = copy_numbers.write
def write(*args, **kwargs):
    if sys.argv[2] == "books":
        os.kill(os.getpid(), signal.SIGKILL)
    written(*args, **kwargs)
    if sys.argv[2] == "copies":
        os.kill(os.getpid(), signal.SIGKILL)
copy_numbers.write = write
imports.run("books", sys.argv[1])
"""


def in_a_process(file: Path, step: str) -> subprocess.CompletedProcess[bytes]:
    database = connection.settings_dict
    url = (
        f"sqlite:///{database['NAME']}"
        if connection.vendor == "sqlite"
        else f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:"
        f"{database['PORT']}/{database['NAME']}"
    )
    return subprocess.run(
        [sys.executable, "-c", KILLED_AFTER, str(file), step],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        check=False,
        capture_output=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("step", ["books", "copies"])
def test_an_import_killed_half_way_leaves_nothing_and_can_be_done_again(
    tmp_path: Path, step: str
) -> None:
    file = tmp_path / "books.csv"
    file.write_text("title,copies\n" + "".join(f"Book {n},2\n" for n in range(500)))
    assert in_a_process(file, step).returncode == -signal.SIGKILL
    assert not Book.objects.exists()
    assert not ImportRun.objects.exists()
    report = imports.run(BOOKS, file)
    assert counts(report) == (500, 0, 0, 0)
    assert Copy.objects.count() == 1000
    assert in_a_process(file, "no step").returncode == 0
    assert Copy.objects.count() == 1000
