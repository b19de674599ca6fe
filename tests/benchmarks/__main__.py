"""`python -m tests.benchmarks [--short] [--rows N] [NAME]`: measure, in a database of its own."""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

NAMES = ("importing", "alerts", "api", "size")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a tenth of the rows, fewer requests")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of a large import")
    parser.add_argument("--loans", type=int, default=10_000, help="overdue loans to tell of")
    parser.add_argument("--books", type=int, default=1_000_000, help="of the largest library")
    parser.add_argument("--keep", type=Path, help="folder of the libraries, kept for another time")
    parser.add_argument("name", nargs="?", choices=NAMES, help="only this one")
    chosen = parser.parse_args()
    # So that what was started is stopped, whoever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as folder:
        _set_up(Path(folder))
        # After the settings know the database.
        from tests.benchmarks import alerts, api, importing  # noqa: PLC0415
        from tests.benchmarks.size import measuring  # noqa: PLC0415

        share = 10 if chosen.short else 1
        if chosen.name in (None, "importing"):
            importing.measure(Path(folder), rows=chosen.rows // share)
        if chosen.name in (None, "alerts"):
            alerts.measure(Path(folder), loans=chosen.loans // share)
        if chosen.name in (None, "api"):
            api.measure(Path(folder), is_short=chosen.short)
        if chosen.name in (None, "size"):
            _empty()  # the libraries begin as copies of this database
            measuring.run(
                chosen.keep or Path(folder),
                is_short=chosen.short,
                is_kept=chosen.keep is not None,
                largest=chosen.books,
            )


def _set_up(folder: Path) -> None:
    """Make an empty library: a SQLite file, or the PostgreSQL database that DATABASE_URL names.

    That database is emptied, so it must be called "benchmark".
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    given = os.environ.get("DATABASE_URL", "")
    if not given.startswith("postgres"):
        os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'benchmark.sqlite3'}"
    elif not given.rstrip("/").endswith("/benchmark"):
        message = "DATABASE_URL must name a PostgreSQL database called benchmark: it is emptied."
        raise SystemExit(message)
    import django  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    django.setup()
    call_command("migrate", verbosity=0)
    _empty()


def _empty() -> None:
    from django.core.management import call_command  # noqa: PLC0415

    call_command("flush", verbosity=0, interactive=False)


if __name__ == "__main__":
    main()
