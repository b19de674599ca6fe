"""What the pages of imports print: labels for the copies that an import has brought."""

from collections.abc import Iterable

from django.contrib import admin

from alerts.backoffice.acts import ActsAdmin
from catalog import import_history
from catalog.models import ImportRun
from circulation.printing import labels

admin.site.unregister(ImportRun)


@admin.register(ImportRun)
class ImportRunAdmin(import_history.ImportRunAdmin, ActsAdmin):
    actions = ("print_labels",)
    actions_detail = actions
    print_labels = labels.action("run")

    def fitting_acts(self, row: ImportRun) -> Iterable[str]:
        return self.actions_detail if row.copies.exists() else ()
