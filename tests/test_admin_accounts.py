"""Nobody makes more of an account than superusers gave it: no way to rights one does not have."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django_q.models import Schedule

from circulation.models import Reader
from tests.factories import make_member, make_reader, make_staff
from tests.office import act_on, as_superuser, page, said, signed_in

pytestmark = pytest.mark.django_db
PASSWORD_PAGE = "/admin/circulation/reader/{}/password/"
NEW_PASSWORD = {"password1": "a-new-Secret-9", "password2": "a-new-Secret-9"}


@pytest.fixture
def librarian() -> Client:
    return signed_in(make_member("Librarian"))


def all_rights() -> dict[str, Any]:
    return {
        "is_staff": "on",
        "is_superuser": "on",
        "is_active": "on",
        "groups": [group.pk for group in Group.objects.all()],
        "user_permissions": [permission.pk for permission in Permission.objects.all()[:5]],
    }


def form_of(reader: Reader, **changes: Any) -> dict[str, Any]:
    fields = {
        "first_name": reader.first_name,
        "last_name": reader.last_name,
        "card_number": reader.card_number,
        "email": reader.email or "",
        "is_active": "on",
    }
    return {**fields, **changes}


def rights(reader: Reader) -> tuple[bool, bool, int, int]:
    reader = Reader.objects.get(pk=reader.pk)
    counts = reader.groups.count(), reader.user_permissions.count()
    return (reader.is_staff, reader.is_superuser, *counts)


def test_a_librarian_gives_no_rights_to_a_reader_or_to_herself(librarian: Client) -> None:
    herself = Reader.objects.get(first_name="Librarian")
    for reader in (make_reader(), herself):
        before = rights(reader)
        response = librarian.post(page(reader, "change"), form_of(reader, **all_rights()))
        assert response.status_code == 302
        assert rights(reader) == before


def test_a_librarian_adds_a_reader_without_rights_who_cannot_sign_in(librarian: Client) -> None:
    data = {"first_name": "Ewa", "last_name": "Lis", "email": "EWA@x.org", "password": "x"}
    librarian.post(page(Reader, "add"), {**data, **all_rights()})
    ewa = Reader.objects.get(first_name="Ewa")
    assert rights(ewa) == (False, False, 0, 0)
    assert ewa.email == "ewa@x.org"
    assert not ewa.has_usable_password()


def test_a_reader_needs_no_email(librarian: Client) -> None:
    for name in ("Ala", "Ola"):
        librarian.post(page(Reader, "add"), {"first_name": name, "email": "", "card_number": ""})
    assert Reader.objects.filter(email=None, card_number=None).count() == 2


def privileged() -> list[Reader]:
    grouped, permitted = make_reader("Grouped"), make_reader("Permitted")
    grouped.groups.add(Group.objects.get(name="Librarian"))
    permitted.user_permissions.add(Permission.objects.first())  # type: ignore[arg-type]
    return [
        make_staff("Staff"),
        make_reader("Root", is_staff=True, is_superuser=True),
        make_reader("Sleeper", is_superuser=True),
        grouped,
        permitted,
    ]


def test_a_librarian_changes_no_password_or_email_of_an_account_with_rights(
    librarian: Client,
) -> None:
    for account in privileged():
        before = account.password
        assert librarian.get(PASSWORD_PAGE.format(account.pk)).status_code == 403
        assert librarian.post(PASSWORD_PAGE.format(account.pk), NEW_PASSWORD).status_code == 403
        changes = {"email": "mine@x.org", "contact_email": "mine@x.org", "password": "x"}
        librarian.post(page(account, "change"), form_of(account, phone="123", **changes))
        now = Reader.objects.get(pk=account.pk)
        assert (now.email, now.contact_email) == (account.email, "")
        assert now.password == before
        assert now.phone == "123"


def test_a_librarian_neither_switches_off_nor_deletes_an_account_with_rights(
    librarian: Client,
) -> None:
    for account in privileged():
        data = form_of(account)
        del data["is_active"]
        librarian.post(page(account, "change"), data)
        assert librarian.post(page(account, "delete"), {"confirmed": "yes"}).status_code == 403
        assert "may not delete" in said(act_on(librarian, "delete_chosen", account))
        assert Reader.objects.get(pk=account.pk).is_active


def test_a_librarian_sets_a_readers_password(librarian: Client) -> None:
    anna = make_reader()
    assert "Set the password of Anna Nowak" in librarian.get(PASSWORD_PAGE.format(anna.pk)).text
    assert librarian.post(PASSWORD_PAGE.format(anna.pk), NEW_PASSWORD).status_code == 302
    anna.refresh_from_db()
    assert anna.check_password("a-new-Secret-9")


def test_those_who_only_look_see_no_way_to_a_password() -> None:
    anna, client = make_reader(password="secret"), signed_in(make_member("Cashier"))
    text = client.get(page(anna, "change")).text
    assert "/password/" not in text.replace("/admin/password_change/", "")
    assert anna.password not in text
    assert client.post(PASSWORD_PAGE.format(anna.pk), NEW_PASSWORD).status_code == 403


def test_a_superuser_gives_a_role() -> None:
    anna, role = make_reader(), Group.objects.get(name="Cashier")
    as_superuser().post(page(anna, "change"), form_of(anna, is_staff="on", groups=[role.pk]))
    assert rights(anna) == (True, False, 1, 0)


def test_nobody_deletes_the_account_he_is_signed_in_with() -> None:
    root = make_reader("Root", is_staff=True, is_superuser=True)
    text = said(signed_in(root).post(page(root, "delete"), {"confirmed": "yes"}))
    assert "your own account" in text


def test_a_card_is_no_copys_barcode_and_a_block_needs_a_reason(librarian: Client) -> None:
    from tests.factories import make_copy  # noqa: PLC0415

    anna, copy = make_reader(), make_copy()
    url = page(anna, "change")
    refused = librarian.post(url, form_of(anna, card_number=copy.barcode))
    assert "has this number as its barcode" in refused.text
    assert "Say why" in librarian.post(url, form_of(anna, is_blocked="on")).text
    other = make_reader(email="taken@x.org")
    assert librarian.post(url, form_of(anna, email="TAKEN@x.org")).status_code == 200
    assert other.email == "taken@x.org"


def test_only_superusers_change_roles_and_schedules() -> None:
    role = Group.objects.get(name="Cashier")
    everything = make_staff("Everything")
    everything.user_permissions.set(Permission.objects.all())
    client = signed_in(everything)
    before = role.permissions.count()
    data = {"name": "Cashier", "permissions": [p.pk for p in Permission.objects.all()[:9]]}
    assert client.post(page(role, "change"), data).status_code == 403
    assert client.get(page(Group, "add")).status_code == 403
    assert role.permissions.count() == before
    assert client.get(page(Schedule, "changelist")).status_code == 403
    run = {"func": "os.system", "args": "'id'", "schedule_type": "O"}
    assert client.post(page(Schedule, "add"), run).status_code == 403
    assert not Schedule.objects.filter(func="os.system").exists()
