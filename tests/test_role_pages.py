"""What a role opens is said in the words of the pages, to those who look at it."""

import re

import pytest
from django.contrib.auth.models import Group, Permission

from circulation.models import LoanPolicy, Reader
from tests.factories import lend, make_charge, make_copy, make_member
from tests.office import as_superuser, page, signed_in

pytestmark = pytest.mark.django_db


def test_an_auditor_reads_in_words_what_a_role_opens() -> None:
    auditor = signed_in(make_member("Auditor"))
    make_member("Cashier")
    response = auditor.get(f"/admin/auth/group/{Group.objects.get(name='Cashier').pk}/change/")
    text = " ".join(re.sub(r"<[^>]+>", " ", response.text).split())
    assert "Money Payments see, export, Print receipts, Ask the provider now" in text
    assert "Can view" not in text


def test_a_role_of_ones_own_is_told_by_its_own_rights() -> None:
    role = Group.objects.create(name="Volunteer")
    role.permissions.add(Permission.objects.get(codename="view_book"))
    response = as_superuser().get(f"/admin/auth/group/{role.pk}/change/")
    [table] = response.context["tables"]
    assert ("Catalogue", "Books", "see") in table.rows
    assert not any(page == "Loans" for _section, page, _acts in table.rows)
    assert 'name="permissions"' in response.text


def test_who_only_looks_at_the_set_up_is_not_led_to_what_is_closed() -> None:
    shown = signed_in(make_member("Auditor")).get("/admin/set-up/").text
    assert "Lend the first copy" in shown
    assert 'href="/admin/desk/"' not in shown


def test_a_cashier_sees_of_a_charge_neither_loan_nor_copy_and_is_led_to_nothing_closed(
    anna: Reader, rule: LoanPolicy
) -> None:
    charge = make_charge(anna, loan=lend(anna, make_copy(barcode="0815-1")))
    cashier = signed_in(make_member("Cashier"))
    shown = cashier.get(page(charge, "change")).text
    assert "Anna Nowak" in shown
    assert "0815-1" not in shown
    assert "/admin/circulation/loan/" not in shown
    librarian = signed_in(make_member("Librarian"))
    assert "0815-1" in librarian.get(page(charge, "change")).text


def test_deleting_a_role_names_it_and_no_inner_rows() -> None:
    role = Group.objects.create(name="Volunteer")
    role.permissions.add(Permission.objects.get(codename="view_book"))
    shown = as_superuser().get(page(role, "delete")).text
    assert "Volunteer" in shown
    assert "object (" not in shown
