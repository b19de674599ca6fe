"""PostgreSQL: dumps by its own pg_dump and pg_restore, checked in the very snapshot they are of."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils.translation import gettext as _

from config.backups import checks, files, versions
from config.backups.checks import Verdict
from config.backups.files import BackupError
from config.backups.told import Tell
from config.unsaid import without_secrets

SUFFIX = ".dump"
LOCK_WAIT = "60s"
"""For how long pg_dump waits for a migration that holds a table."""
VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
ROWS_OF_MIGRATIONS = re.compile(
    r"^COPY \S*django_migrations \((?P<columns>.+)\) FROM stdin;\n(?P<rows>.*?)^\\\.$",
    re.MULTILINE | re.DOTALL,
)
CONTENTS = """
    SELECT format('%%I.%%I', n.nspname, c.relname), c.relkind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
      AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = ANY(%s)
      )
    ORDER BY 1
"""
WORDS = {"v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE", "f": "FOREIGN TABLE"}


def refuse_name(target: Path) -> None:
    """Raise BackupError where the name promises what a dump is not."""
    if target.suffix == ".gz":
        raise BackupError(
            _("pg_dump compresses by itself. Choose a name that does not end in .gz, as %(file)s.")
            % {"file": target.with_suffix("").with_suffix(SUFFIX).name}
        )


def copied(folder: Path, tell: Tell) -> tuple[Path, Verdict]:
    """Dump the database as it is at one moment into a folder, check that, and read the dump back.

    Nobody who reads or writes waits for it.
    """
    _refuse_old_pg_dump()
    copy = folder / "copy.dump"
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        (snapshot,) = cursor.fetchone()
        _run(
            "pg_dump",
            *("--no-password", "--format=custom", f"--snapshot={snapshot}"),
            *(f"--lock-wait-timeout={LOCK_WAIT}", f"--file={copy}"),
        )
        tell(_("Dumped: %(size)s.") % {"size": files.in_megabytes(copy.stat().st_size)})
        is_ours = versions.are_of_this(MigrationRecorder(connection).applied_migrations())
        verdict = checks.of_this_database() if is_ours else Verdict(0, ())
    _refuse_broken(copy)
    return copy, verdict


def refuse_full() -> None:
    """Raise BackupError unless there is no table, view or sequence in the database."""
    found = [name for name, _kind in _contents()]
    if found:
        some = ", ".join(found[:4]) + (" …" if len(found) > 4 else "")
        message = _(
            "The database %(name)s is not empty (%(some)s): a backup is restored where nothing "
            "is. Make an empty one with createdb and name it in DATABASE_URL."
        )
        raise BackupError(message % {"name": connection.settings_dict["NAME"], "some": some})


@contextmanager
def loaded(backup: Path, tell: Tell) -> Iterator[None]:
    """Load a dump into the site's database, in one transaction.

    Where the block raises, the database is emptied again.
    """
    with tempfile.TemporaryDirectory() as folder:
        dump = _plain(backup, Path(folder))
        _refuse_broken(dump)
        versions.refuse_unknown(_applied(dump), backup)
        connection.close()
        database = f"--dbname={_database_alone()}"
        _run(
            "pg_restore",
            *("--no-password", "--single-transaction", "--exit-on-error"),
            *("--no-owner", "--no-privileges", database, str(dump)),
        )
    tell(_("Loaded."))
    try:
        yield
        _plan_anew()
    except BaseException:
        _empty()
        raise


def skip_numbers(count: int) -> None:
    """Have each table go on so many numbers later."""
    with connection.cursor() as cursor:
        for name, kind in _contents(owned=True):
            if kind == "S":
                cursor.execute(f"SELECT setval('{name}', nextval('{name}') + %s)", [count])


def _plain(backup: Path, folder: Path) -> Path:
    with backup.open("rb") as file:
        if file.read(len(files.GZIP)) != files.GZIP:
            return backup
    files.unpacked(backup, folder / "copy.dump")
    return folder / "copy.dump"


def _refuse_broken(dump: Path) -> None:
    _run("pg_restore", f"--file={os.devnull}", str(dump))


def _applied(dump: Path) -> set[tuple[str, str]]:
    told = _run("pg_restore", "--data-only", "--table=django_migrations", "--file=-", str(dump))
    found = ROWS_OF_MIGRATIONS.search(told)
    if found is None:
        return set()
    columns = found["columns"].split(", ")
    rows = [line.split("\t") for line in found["rows"].splitlines()]
    app, name = columns.index("app"), columns.index("name")
    return {(row[app], row[name]) for row in rows}


def _contents(*, owned: bool = False) -> list[tuple[str, str]]:
    """Return names and kinds of what is there, with the sequences of columns if they are asked for.

    What belongs to an extension is left out: a server may put one into every new database.
    """
    with connection.cursor() as cursor:
        cursor.execute(CONTENTS, [["e"] if owned else ["e", "i", "a"]])
        return list(cursor.fetchall())


def _empty() -> None:
    """Take away what was loaded: there was nothing before."""
    connection.close()
    with connection.cursor() as cursor:
        for name, kind in _contents():
            cursor.execute(f"DROP {WORDS.get(kind, 'TABLE')} IF EXISTS {name} CASCADE")


def _plan_anew() -> None:
    """A dump has no statistics, which lists and searches are planned by."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _refuse_old_pg_dump() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        server = int(cursor.fetchone()[0]) // 10_000
    said = _run("pg_dump", "--version")
    found = VERSION.search(said)
    if found is None or int(found[1]) < server:
        raise BackupError(
            _(
                "pg_dump is too old: it is “%(version)s”, and the server is PostgreSQL "
                "%(server)d. Install the client programs of that version."
            )
            % {"version": said.strip(), "server": server}
        )


def _run(program: str, *arguments: str) -> str:
    """Run a program of PostgreSQL on the site's database and return what it says.

    Raises BackupError. Where the database is and its password are not among the arguments, which
    everybody on the machine can see.
    """
    if shutil.which(program) is None:
        raise BackupError(
            _(
                "%(program)s is not installed on this machine. It comes with the client programs "
                "of PostgreSQL (Debian: apt install postgresql-client)."
            )
            % {"program": program}
        )
    done = subprocess.run(
        [program, *arguments],
        env={**os.environ, **_environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = without_secrets(done.stderr).strip().splitlines()
        errors = [line for line in lines if "error:" in line] or lines[-1:]
        raise BackupError(" ".join(errors) or f"{program}: {done.returncode}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Return the variables of libpq that lead to the site's database."""
    from psycopg.pq import Conninfo  # noqa: PLC0415 - it is there with PostgreSQL only

    given = connection.get_connection_params()
    known = {
        option.keyword.decode(): option.envvar.decode()
        for option in Conninfo.get_defaults()
        if option.envvar
    }
    return {known[name]: str(value) for name, value in given.items() if name in known and value}


def _database_alone() -> str:
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - it is there with PostgreSQL only

    return make_conninfo(dbname=connection.settings_dict["NAME"])
