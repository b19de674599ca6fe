"""`manage.py sync_roles`: bring the groups and their permissions to what the code says."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from config import roles


class Command(BaseCommand):
    help = (
        "Give the groups of the roles exactly the permissions of config/roles.py. `migrate` does "
        "so too; this undoes changes made by hand since."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if missing := roles.sync():
            raise CommandError(
                _("These permissions do not exist yet: %(names)s. Run “manage.py migrate” first.")
                % {"names": ", ".join(sorted(missing))}
            )
        for role, permissions in roles.ROLES.items():
            line = _("%(role)s: %(count)d permissions") % {"role": role, "count": len(permissions)}
            self.stdout.write(line)
