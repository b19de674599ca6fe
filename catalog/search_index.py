"""The database's own search index over books: made by migrations, kept up to date by the database.

On SQLite an FTS5 table without content of its own, and triggers; on PostgreSQL a generated
`tsvector` column, which the model does not know, with a GIN index.
"""

from collections.abc import Iterable

from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

CREATE_FTS = """
    CREATE VIRTUAL TABLE IF NOT EXISTS catalog_book_search USING fts5(
        search_title, search_rest, content='catalog_book', content_rowid='id',
        tokenize='unicode61 remove_diacritics 0', prefix='2 3'
    )
"""
INDEX_NEW_ROW = """
    INSERT INTO catalog_book_search (rowid, search_title, search_rest)
    VALUES (new.id, new.search_title, new.search_rest);
"""
FORGET_OLD_ROW = """
    INSERT INTO catalog_book_search (catalog_book_search, rowid, search_title, search_rest)
    VALUES ('delete', old.id, old.search_title, old.search_rest);
"""
TRIGGERS = {
    "catalog_book_search_insert": f"AFTER INSERT ON catalog_book BEGIN {INDEX_NEW_ROW} END",
    "catalog_book_search_delete": f"AFTER DELETE ON catalog_book BEGIN {FORGET_OLD_ROW} END",
    "catalog_book_search_update": f"""
        AFTER UPDATE OF search_title, search_rest ON catalog_book
        WHEN old.search_title <> new.search_title OR old.search_rest <> new.search_rest
        BEGIN {FORGET_OLD_ROW} {INDEX_NEW_ROW} END
    """,
}
REBUILD_FTS = "INSERT INTO catalog_book_search (catalog_book_search) VALUES ('rebuild')"
# Rank 1 compares the index with the rows of catalog_book, not only with itself.
CHECK_FTS = (
    "INSERT INTO catalog_book_search (catalog_book_search, rank) VALUES ('integrity-check', 1)"
)

# A tsvector holds one megabyte: more text would refuse the row, so only its beginning is indexed.
ADD_VECTOR = """
    ALTER TABLE catalog_book ADD COLUMN IF NOT EXISTS search_vector tsvector NOT NULL
    GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', search_title), 'A')
        || setweight(to_tsvector('simple', left(search_rest, 100000)), 'B')
    ) STORED
"""
INDEX_VECTOR = """
    CREATE INDEX IF NOT EXISTS catalog_book_search_vector
    ON catalog_book USING gin (search_vector)
"""


def install(database: BaseDatabaseWrapper = connection) -> None:
    """Make the index where it is missing; where it is complete, do nothing.

    A later migration that alters `catalog_book` makes SQLite drop the triggers with the old table.
    This runs after every `migrate` and brings them back.
    """
    if database.vendor == "postgresql":
        _execute(database, [ADD_VECTOR, INDEX_VECTOR])
    elif _missing_parts(database):
        drop = [f"DROP TRIGGER IF EXISTS {name}" for name in TRIGGERS]
        create = [f"CREATE TRIGGER {name} {body}" for name, body in TRIGGERS.items()]
        _execute(database, [CREATE_FTS, *drop, *create, REBUILD_FTS])


def is_current(database: BaseDatabaseWrapper = connection) -> bool:
    """Whether the index holds exactly what the books say. PostgreSQL guarantees it."""
    if database.vendor == "postgresql":
        return True
    if _missing_parts(database):
        return False
    try:
        with transaction.atomic(using=database.alias):
            _execute(database, [CHECK_FTS])
    except DatabaseError:
        return False
    return True


def rebuild(database: BaseDatabaseWrapper = connection) -> None:
    """Index every book anew (SQLite): about 8 seconds for a million."""
    install(database)
    if database.vendor == "sqlite":
        _execute(database, [REBUILD_FTS])


def _missing_parts(database: BaseDatabaseWrapper) -> set[str]:
    with database.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE name LIKE 'catalog_book_search%'")
        return {"catalog_book_search", *TRIGGERS} - {name for (name,) in cursor.fetchall()}


def _execute(database: BaseDatabaseWrapper, statements: Iterable[str]) -> None:
    with transaction.atomic(using=database.alias), database.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
