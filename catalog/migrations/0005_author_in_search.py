from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from catalog import text

AT_ONCE = 2000


def part_author_from_rest(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Write the column anew, but leave empty what an import has still to write."""
    books = apps.get_model("catalog", "Book").objects.exclude(search_title="", search_rest="")
    ids = list(books.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), AT_ONCE):
        part = books.filter(pk__in=ids[start : start + AT_ONCE])
        rows = [(text.search_columns(book)[1], book.pk) for book in part]
        with schema_editor.connection.cursor() as cursor:
            cursor.executemany("UPDATE catalog_book SET search_rest = %s WHERE id = %s", rows)


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0004_author_follow'),
    ]

    operations = [
        migrations.RunPython(part_author_from_rest, migrations.RunPython.noop),
    ]
