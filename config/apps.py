from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CarrelConfig(AppConfig):
    name = "config"
    verbose_name = _("Carrel")
