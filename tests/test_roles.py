"""Roles: what each may do, what none may do, and that their groups follow the table."""

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command

from circulation.models import Reader
from config import roles
from tests.factories import make_member

pytestmark = pytest.mark.django_db

CARREL_APPS = ("alerts", "catalog", "circulation", "billing", "config")
UNTOUCHABLE = (
    *("loan", "override", "deskact", "charge", "adjustment", "importrun", "payment", "allocation"),
    *("refund", "paymentevent", "event", "delivery", "jobrun"),
)
PAYMENTS = {
    "billing.take_cash",
    "billing.refund_payment",
    "billing.reconcile_payment",
    "billing.review_payment",
    "billing.export_payment",
}


def member(role: str) -> Reader:
    return Reader.objects.get(pk=make_member(role).pk)


@pytest.mark.parametrize("role", roles.ROLES)
def test_after_migrate_each_role_may_do_what_the_table_says_and_no_more(role: str) -> None:
    assert member(role).get_all_permissions() == roles.ROLES[role]


def test_a_librarian_may_do_all_of_the_work() -> None:
    assert member("Librarian").has_perms(
        [
            "catalog.delete_book",
            "catalog.import_book",
            "circulation.change_loanpolicy",
            "circulation.check_out",
            "circulation.override_block",
            "circulation.lend_for_today",
            "circulation.import_loan",
            "billing.waive_charge",
            "billing.export_charge",
            *PAYMENTS,
        ]
    )


def test_an_assistant_works_the_desk_and_registers_readers() -> None:
    assert member("Assistant").has_perms(
        [
            "circulation.check_out",
            "circulation.check_in",
            "circulation.renew",
            "circulation.mark_lost",
            "circulation.add_hold",
            "circulation.change_hold",
            "circulation.add_reader",
            "circulation.change_reader",
            "billing.view_charge",
            "billing.view_payment",
            "billing.take_cash",
        ]
    )


@pytest.mark.parametrize(
    "word",
    [
        "delete_",
        "import_",
        "export_",
        "override",
        "waive",
        "policy",
        "refund_",
        "reconcile",
        "review",
    ],
)
def test_an_assistant_may_not(word: str) -> None:
    assert not [permission for permission in roles.ROLES["Assistant"] if word in permission]


def test_a_cashier_takes_and_gives_back_money_and_waives_nothing() -> None:
    cashier = member("Cashier")
    assert cashier.has_perms(["circulation.view_reader", "billing.view_charge"])
    assert cashier.has_perms(["billing.view_payment", "billing.view_paymentevent"])
    others = {p for p in roles.ROLES["Cashier"] if ".view_" not in p}
    assert others == {"billing.export_charge", *PAYMENTS}


def test_an_auditor_sees_everything_and_changes_nothing() -> None:
    everything = {
        f"{model._meta.app_label}.view_{model._meta.model_name}"
        for model in apps.get_models()
        if model._meta.app_label in CARREL_APPS
        and "view" in model._meta.default_permissions
        and model.__name__ not in ("BarcodeCounter", "Pace")
        and not model._meta.auto_created
    }
    assert everything | {"auth.view_group"} == roles.ROLES["Auditor"]


@pytest.mark.parametrize("role", roles.ROLES)
def test_no_role_may_change_or_delete_what_happened_or_make_staff(role: str) -> None:
    for permission in roles.ROLES[role]:
        app, codename = permission.split(".")
        action, _, model = codename.partition("_")
        if action in ("add", "change", "delete"):
            assert not model.startswith("historical")
            assert model not in UNTOUCHABLE
            assert app in CARREL_APPS


def test_every_permission_of_the_table_exists() -> None:
    assert roles.sync() == set()


def test_a_changed_group_is_set_right_and_other_groups_are_left_alone() -> None:
    waive = Permission.objects.get(codename="waive_charge")
    Group.objects.get(name="Assistant").permissions.set([waive])
    Group.objects.get(name="Cashier").delete()
    volunteers = Group.objects.create(name="Volunteers")
    volunteers.permissions.add(waive)

    call_command("sync_roles")

    assert not member("Assistant").has_perm("billing.waive_charge")
    assert member("Assistant").has_perm("circulation.check_out")
    assert member("Cashier").has_perm("billing.view_charge")
    assert list(volunteers.permissions.all()) == [waive]


def test_a_permission_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(roles.ROLES, "Cashier", frozenset({"billing.juggle_charge"}))
    with pytest.raises(CommandError, match=r"billing\.juggle_charge"):
        call_command("sync_roles")


@pytest.mark.django_db(transaction=True)
def test_roles_come_back_after_the_tables_were_emptied() -> None:
    Group.objects.all().delete()
    call_command("flush", interactive=False, verbosity=0)
    assert member("Librarian").has_perm("catalog.change_book")
