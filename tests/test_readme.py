"""Every command of the README is run as it stands, or is named here with what checks it instead."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sites import Machine

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(?:<!-- (?P<kind>command|file): (?P<name>\S+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
MADE = ("mermaid",)
"""Made from the code, which `tests/test_documents.py` looks at."""
ELSEWHERE = {
    "demo": ".ci/run runs it in a fresh clone",
    "test": ".ci/run runs it in a fresh clone",
    "update": "tests/test_procfile.py releases; there is no systemd in the tests",
    "containers": "tests/test_deployment.py checks the files; the tests have no Docker engine",
}
HERE = {"import", "first", "api", "backup"}
BOOKS = "title,author,isbn,copies\nSolaris,Stanisław Lem,9788308049044,2\n"
READERS = "Nr karty,first_name,last_name\nR-7001,Anna,Nowak\n"
ACCOUNT = {
    "DJANGO_SUPERUSER_EMAIL": "root@example.org",
    "DJANGO_SUPERUSER_PASSWORD": "a-long-enough-password",
}


def blocks() -> dict[str, str]:
    return {found["name"]: found["text"] for found in BLOCK.finditer(README) if found["name"]}


def test_every_block_says_what_it_is() -> None:
    for found in BLOCK.finditer(README):
        assert found["kind"] or found["language"] in MADE, found["text"]


def test_every_command_is_run_here_or_elsewhere() -> None:
    named = {found["name"] for found in BLOCK.finditer(README) if found["kind"] == "command"}
    assert named == {*ELSEWHERE, *HERE}
    ci = (Path(__file__).parent.parent / ".ci" / "run").read_text()
    assert all(f"readme_command {name}" in ci for name in ("demo", "test"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Machine]:
    """A copy of the checkout with the demo's library in it, and files to import."""
    site = Machine(tmp_path / "site", DATABASE_URL="sqlite:///demo.sqlite3", **ACCOUNT)
    (site.folder / "their-books.csv").write_text(BOOKS, encoding="utf-8")
    (site.folder / "readers.csv").write_text(READERS, encoding="utf-8")
    prepared = site.sh("python manage.py demo --prepare-only")
    assert prepared.returncode == 0, prepared.stderr
    yield site
    site.kill_everything()


def run(site: Machine, name: str) -> str:
    """Run a command of the README where it would be run, and return what it said."""
    done = site.sh("set -eu\n" + blocks()[name].replace(".venv/bin/python", "python"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_what_others_had_is_moved_in_and_out(site: Machine) -> None:
    said = run(site, "import")
    assert "1 new" in said
    assert "R-7001" in site.sh("python manage.py export_csv readers").stdout
    assert (site.folder / "loans.csv").stat().st_size > 1000


@pytest.mark.slow
def test_the_first_account_is_made_a_job_runs_and_all_agrees(site: Machine) -> None:
    blocks_of_it = blocks()["first"].replace("createsuperuser", "createsuperuser --noinput")
    done = site.sh("set -eu\n" + blocks_of_it)
    assert done.returncode == 0, done.stderr
    assert "Superuser created successfully." in done.stdout


@pytest.mark.slow
def test_the_api_is_asked_as_is_told(site: Machine) -> None:
    site.start("web")
    site.wait_until_it_is_ready()
    asked = blocks()["api"].replace("http://127.0.0.1:8000", site.url)
    token, borrowings = asked.split("\ncurl", 1)
    who = token.replace("YOUR EMAIL", "librarian@demo.example").replace(
        "YOUR PASSWORD", "carrel-demo"
    )
    given = json.loads(site.sh(who).stdout)
    found = json.loads(site.sh("curl" + borrowings.replace("ACCESS", given["access"])).stdout)
    assert found["results"][0]["book"]


@pytest.mark.slow
def test_a_backup_is_made_and_brought_back(site: Machine, tmp_path: Path) -> None:
    asked = blocks()["backup"].replace("/var/backups/carrel", str(tmp_path))
    backup, restore = asked.splitlines()
    assert site.sh(backup).returncode == 0
    empty = f"export DATABASE_URL=sqlite:///{tmp_path}/empty.sqlite3\n"
    restored = site.sh(empty + restore)
    assert restored.returncode == 0, restored.stderr
    assert "R0001" in site.sh(empty + "python manage.py export_csv readers").stdout
