from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class CirculationConfig(AppConfig):
    name = "circulation"
    verbose_name = _("Circulation")

    def ready(self) -> None:
        post_migrate.connect(make_default_policy, sender=self)


def make_default_policy(**_kwargs: Any) -> None:
    """Give a new library, after `migrate`, one rule for everybody, so that it can lend."""
    from circulation.models import LoanPolicy

    if not LoanPolicy.objects.filter(category=None, item_type=None).exists():
        LoanPolicy.objects.create(fine_factor=1)
