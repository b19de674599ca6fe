"""Who may do what: one table of roles and their permissions, kept as Django groups."""

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils.translation import gettext as _

from alerts import office_acts

STOCK = ("catalog.book", "catalog.copy", "catalog.itemtype")
RULES = (
    "circulation.readercategory",
    "circulation.loanpolicy",
    "circulation.closedday",
    "circulation.closedweekday",
)
MONEY = (
    "billing.charge",
    "billing.adjustment",
    "billing.payment",
    "billing.allocation",
    "billing.refund",
)
EVENTS = "billing.paymentevent"
# What happened: seen by some, changed or deleted by nobody.
RECORDS = (
    "catalog.importrun",
    "circulation.loan",
    "circulation.override",
    "circulation.deskact",
    EVENTS,
)
HISTORIES = (
    "catalog.historicalbook",
    "catalog.historicalcopy",
    "catalog.historicalitemtype",
    "circulation.historicalreader",
    "circulation.historicalreadercategory",
    "circulation.historicalloanpolicy",
    "circulation.historicalclosedday",
    "circulation.historicalclosedweekday",
    "circulation.historicalloan",
    "circulation.historicalhold",
    "circulation.historicalintegrationkey",
    "circulation.historicalexternalidentity",
    "billing.historicalcharge",
    "billing.historicaladjustment",
    "alerts.historicalchannel",
    "billing.historicalpayment",
    "billing.historicalallocation",
    "billing.historicalrefund",
)
# Ways in from outside, which superusers make and take away.
WAYS_IN = ("circulation.integrationkey", "circulation.externalidentity")
# Who did what, on one page: whoever sees it sees how colleagues work.
AUDIT = "alerts.officeact"
# Emails, phones and notes are for those who write to readers, call them, or look after the cards.
PERSONAL = frozenset({"circulation.view_personal_data"})
# Channels change; what happened, and whom it was told, does not.
CHANNELS = "alerts.channel"
TOLD = ("alerts.event", "alerts.delivery", "config.jobrun")
DESK = frozenset(f"circulation.{act}" for act in ("check_out", "check_in", "renew", "mark_lost"))

CASH = frozenset({"billing.take_cash"})
PAYMENTS = CASH | {f"billing.{act}_payment" for act in ("refund", "reconcile", "review", "export")}


def _may(actions: str, *models: str) -> frozenset[str]:
    """Return a permission for each of the actions on each model, as `catalog.view_book`."""
    pairs = (model.split(".") for model in models)
    return frozenset(f"{app}.{act}_{name}" for app, name in pairs for act in actions.split())


ROLES: dict[str, frozenset[str]] = {
    "Librarian": (
        _may("view add change delete", *STOCK, *RULES, "circulation.reader")
        | _may("view add change", "circulation.hold")
        | _may("view", *RECORDS, *MONEY)
        | _may("import export", "catalog.book", "catalog.copy", "circulation.reader")
        | _may("import export", "circulation.loan", "billing.charge")
        | DESK
        | PAYMENTS
        | PERSONAL
        | {"circulation.lend_for_today", "circulation.override_block", "billing.waive_charge"}
        | {"circulation.mark_notified"}
        | _may("view add change delete", CHANNELS)
        | _may("view", *TOLD)
        | {"alerts.replay_delivery", "config.run_job"}
    ),
    "Assistant": (
        _may("view", *STOCK, *MONEY, "circulation.readercategory", "circulation.loan")
        | _may("view add change", "circulation.reader", "circulation.hold")
        | DESK
        | CASH
        | PERSONAL
    ),
    "Cashier": (
        # Not the loans: what somebody reads is nothing that money needs to know.
        _may("view", "circulation.reader", *MONEY, EVENTS)
        | _may("export", "billing.charge")
        | PAYMENTS
    ),
    "Auditor": _may(
        "view",
        *STOCK,
        *RULES,
        *RECORDS,
        *MONEY,
        *HISTORIES,
        AUDIT,
        *TOLD,
        *WAYS_IN,
        CHANNELS,
        "circulation.reader",
        "circulation.hold",
        "auth.group",
    ),
}


def _keep(group: Group, *, taken: set[Permission], given: set[Permission], using: str) -> None:
    """Put into the audit that a role was brought back to the table, or follows a new version."""
    office_acts.record(
        _("Role set as Carrel has it"),
        group,
        by=None,
        before=", ".join(sorted(permission.name for permission in taken)),
        after=", ".join(sorted(permission.name for permission in given)),
        using=using,
    )


@transaction.atomic
def sync(*, using: str = DEFAULT_DB_ALIAS) -> set[str]:
    """Give each role's group exactly the permissions of the table, and return those missing.

    None is missing once all migrations have run. Other groups are left as they are.
    """
    # Django makes them after each migrate too, but maybe later than this runs.
    for label in {permission.split(".")[0] for permission in set().union(*ROLES.values())}:
        create_permissions(apps.get_app_config(label), verbosity=0, using=using)
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.using(using).select_related("content_type")
    }
    for role, wanted in ROLES.items():
        group, is_new = Group.objects.using(using).get_or_create(name=role)
        before = set() if is_new else set(group.permissions.all())
        now = {known[permission] for permission in wanted & known.keys()}
        group.permissions.set(now)
        if before != now and not is_new:
            _keep(group, taken=before - now, given=now - before, using=using)
    return set().union(*ROLES.values()) - known.keys()
