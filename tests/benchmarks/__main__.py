"""`python -m tests.benchmarks [--short] [--rows N]`: measure, in a database of its own."""

import argparse
import os
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a tenth of the rows")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of a large import")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _set_up(Path(folder))
        # After the settings know the database.
        from tests.benchmarks import importing  # noqa: PLC0415

        rows = chosen.rows // 10 if chosen.short else chosen.rows
        importing.measure(Path(folder), rows=rows)


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
    call_command("flush", verbosity=0, interactive=False)


if __name__ == "__main__":
    main()
