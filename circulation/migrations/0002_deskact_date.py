import datetime

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("circulation", "0001_initial")]
    operations = [
        migrations.AddField(
            "deskact",
            "date",
            models.DateField(default=datetime.date(2026, 1, 1), verbose_name="date"),
            preserve_default=False,
        ),
    ]
