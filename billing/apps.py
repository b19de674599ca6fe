from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = _("Money")

    def ready(self) -> None:
        from billing.checks import check_money

        checks.register(check_money)
