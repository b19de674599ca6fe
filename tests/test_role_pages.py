"""What a role opens is said in the words of the pages, to those who look at it."""

import re

import pytest
from django.contrib.auth.models import Group, Permission

from tests.factories import make_member
from tests.office import as_superuser, signed_in

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
    page = signed_in(make_member("Auditor")).get("/admin/set-up/").text
    assert "Lend the first copy" in page
    assert 'href="/admin/desk/"' not in page
