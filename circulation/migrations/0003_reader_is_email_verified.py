from django.db import migrations, models


HELP = "Off while a reader who registered online has followed no link in our email. Addresses that the library writes down count as confirmed."


class Migration(migrations.Migration):

    dependencies = [
        ('circulation', '0002_declined_notices'),
    ]

    operations = [
        migrations.AddField(
            model_name='historicalreader',
            name='is_email_verified',
            field=models.BooleanField(db_default=True, default=True, help_text=HELP, verbose_name='email confirmed'),
        ),
        migrations.AddField(
            model_name='reader',
            name='is_email_verified',
            field=models.BooleanField(db_default=True, default=True, help_text=HELP, verbose_name='email confirmed'),
        ),
    ]
