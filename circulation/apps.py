from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.core import checks
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class CirculationConfig(AppConfig):
    name = "circulation"
    verbose_name = _("Circulation")

    def ready(self) -> None:
        from circulation.checks import check_self_service

        checks.register(check_self_service)
        post_migrate.connect(make_default_policy, sender=self)


def make_default_policy(*, using: str, apps: Apps = installed_apps, **_more: Any) -> None:
    """Give a new library, after `migrate`, one rule for everybody, so that it can lend."""
    from circulation.models import LoanPolicy

    # While only some apps have been migrated, `apps` holds no more than those.
    if "circulation" not in apps.app_configs:
        return
    policies = LoanPolicy.objects.using(using)
    if not policies.filter(category=None, item_type=None).exists():
        policies.create(fine_factor=1)
