from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

INDEX_WORDS = """
    CREATE INDEX reader_by_word_of_name ON circulation_reader
    USING gin (to_tsvector('simple', search_name))
"""


def index_words(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Have PostgreSQL know readers by each word of their names; SQLite reads all of them as soon."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(INDEX_WORDS)


def forget_words(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX reader_by_word_of_name")


class Migration(migrations.Migration):

    dependencies = [
        ('circulation', '0010_returned_late'),
    ]

    operations = [
        migrations.RunPython(index_words, forget_words),
    ]
