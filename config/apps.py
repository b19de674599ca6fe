"""The project itself as an app, and what has to be so after every `migrate`."""

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.conf import settings
from django.core import checks
from django.db import connections
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

NEEDED_APPS = {"alerts", "auth", "billing", "catalog", "circulation", "config"}


class BackOfficeConfig(AppConfig):
    """Unfold, with a site of our own in the place of its own and Django's."""

    name = "unfold"

    def ready(self) -> None:
        from django.contrib import admin
        from django.contrib.admin import sites

        from config.back_office import BackOffice, draw_headers_once

        admin.site = sites.site = BackOffice()
        draw_headers_once()


class CarrelConfig(AppConfig):
    name = "config"
    verbose_name = _("Carrel")

    def ready(self) -> None:
        from django_q import signals as queue
        from simple_history.signals import pre_create_historical_record

        from config import context
        from config.audit_doers import name_the_doer
        from config.checks import check_accounts
        from config.oidc.checks import check_provider
        from config.rest.keys import name_the_key

        checks.register(check_accounts)
        checks.register(check_provider)
        pre_create_historical_record.connect(name_the_key)
        pre_create_historical_record.connect(name_the_doer)
        if settings.SENTRY_DSN:
            from config import error_reports

            error_reports.start(settings.SENTRY_DSN, root=settings.BASE_DIR)
        queue.pre_execute.connect(context.mark_task)
        queue.post_execute_in_worker.connect(context.unmark)
        # The signal is sent once for each app that has models, in the order they are installed in.
        last = installed_apps.get_app_config("circulation")
        post_migrate.connect(after_migrate, sender=last, dispatch_uid="carrel")


def after_migrate(*, using: str, apps: Apps = installed_apps, **_more: Any) -> None:
    """Bring roles and search index up to date and make the first channels: all tables are there."""
    from alerts import setup
    from catalog import search_index
    from config import roles

    # While only some apps have been migrated, `apps` holds no more than those.
    if apps.app_configs.keys() >= NEEDED_APPS:
        search_index.install(connections[using])
        roles.sync(using=using)
        setup.install(using=using)
