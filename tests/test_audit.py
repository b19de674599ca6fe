"""The page “History”: all that was done, by whom, before and after; and that nobody rewrites it."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from alerts import doers
from alerts.models import OfficeAct
from billing.models import ChargeKind, Payment
from catalog.models import Copy, ItemType
from circulation import holds
from circulation.models import LoanPolicy, Override, Reader, ReaderCategory
from config import audit, runs
from config.roles import ROLES
from tests.counting import queries_of
from tests.factories import (
    lend,
    make_book,
    make_charge,
    make_copy,
    make_member,
    make_reader,
    make_staff,
    overriding,
    pay_cash,
)
from tests.office import as_superuser, page, signed_in
from tests.test_admin_pages import EVIL, make_one_of_each

pytestmark = pytest.mark.django_db

HISTORY = "/admin/history/"


@pytest.fixture
def auditor() -> Client:
    return signed_in(make_member("Auditor"))


@pytest.fixture
def maria() -> Reader:
    return make_member("Librarian", last_name="Lis")


def shown(client: Client, **asked: Any) -> str:
    """Return the rows of the page as one reads them."""
    response = client.get(HISTORY, asked)
    assert response.status_code == 200
    _before, _table, rest = response.text.partition("<tbody")
    text = html.unescape(re.sub(r"<[^>]+>", " ", rest.partition("</tbody>")[0]))
    return " ".join(text.split())


def entries(client: Client, **asked: Any) -> list[Any]:
    found: list[Any] = client.get(HISTORY, asked).context["entries"]
    return found


class TestWhatIsShown:
    def test_a_rule_with_who_changed_it_from_what_to_what(
        self, auditor: Client, maria: Reader
    ) -> None:
        rule = LoanPolicy.objects.get()
        data = {"loan_days": "21", "max_loans": "5", "max_holds": "3", "max_renewals": "2"}
        data |= {"grace_days": "0", "lost_fee": "20", "hold_shelf_days": "7", "fine_factor": "1"}
        signed_in(maria).post(page(rule, "change"), {**data, "debt_limit": "5"})
        text = shown(auditor, kind="circulation.loanpolicy")
        assert "Librarian Lis Loan policy: Changed" in text
        assert "for everybody and everything Loan days: 14 → 21" in text

    def test_lending_names_the_copy_and_the_reader_and_no_numbers_of_rows(
        self, auditor: Client, maria: Reader, anna: Reader
    ) -> None:
        copy = make_copy(make_book("Solaris"), barcode="00045-2")
        lend(anna, copy, on=timezone.localdate(), by=maria)
        text = shown(auditor)
        assert "Loan: Added 00045-2 Solaris · Anna Nowak" in text
        assert "Status: Available → On loan" in text
        assert "Lent by: Librarian Lis" in text
        assert f"Copy: {copy.pk} " not in text

    def test_money_with_its_sums_and_days_as_people_write_them(
        self, auditor: Client, maria: Reader, anna: Reader
    ) -> None:
        payment = pay_cash(make_charge(anna, "5.00"), "2.50", by=maria)
        text = shown(auditor, kind="billing.payment")
        assert "Anna Nowak" in text
        assert "2.50" in text
        assert "Cash" in text
        assert str(payment.transaction_id) not in text or not payment.transaction_id

    def test_an_override_with_what_stood_against_it_and_why(
        self, auditor: Client, maria: Reader, anna: Reader, rule: LoanPolicy
    ) -> None:
        maria.user_permissions.add(Permission.objects.get(codename="override_block"))
        anna.is_blocked, anna.block_reason = True, "Two wet books"
        anna.save()
        lend(
            anna,
            make_copy(),
            on=timezone.localdate(),
            by=maria,
            override=overriding("reader_blocked"),
        )
        assert Override.objects.exists()
        text = shown(auditor, kind="circulation.override")
        assert "Two wet books" in text
        assert "The head of the library agreed." in text

    def test_what_was_deleted_is_still_named(self, auditor: Client, maria: Reader) -> None:
        kind = ItemType.objects.create(name="Cassette")
        signed_in(maria).post(page(kind, "delete"), {"confirmed": "yes"})
        text = shown(auditor, kind="catalog.itemtype")
        assert "Librarian Lis Item type: Deleted Cassette" in text

    def test_a_script_is_inert(self, auditor: Client) -> None:
        make_one_of_each()
        text = auditor.get(HISTORY).text
        assert "<script>alert(1)" not in text
        assert "7006652" not in text
        assert html.escape(EVIL) in text

    def test_emails_and_phones_are_not(self, auditor: Client) -> None:
        reader = make_reader("Zofia", email="zofia@private.example")
        reader.phone = "600700800"
        reader.save()
        text = shown(auditor)
        assert "Phone: ••• → •••" in text
        assert "600700800" not in text
        assert "private.example" not in text

    def test_every_kind_of_record_is_there(self, auditor: Client) -> None:
        """A new model with a history needs no line anywhere to be on the page."""
        labels = {source.label for source in audit.sources()}
        tracked = {model for model in admin.site._registry if hasattr(model, "history")}
        assert {model._meta.label_lower for model in tracked} <= labels
        assert {"alerts.officeact", "circulation.override", "catalog.importrun"} <= labels
        ReaderCategory.objects.create(name="Teacher")
        for label in labels:
            assert auditor.get(HISTORY, {"kind": label}).status_code == 200, label


class TestWhoDidIt:
    def test_a_job_is_named_by_what_it_does(self, auditor: Client, anna: Reader) -> None:
        charge = make_charge(anna)

        def work() -> str:
            charge.description = "Later still"
            charge.save()
            return "done"

        runs.recorded("accrue_fines", work)
        text = shown(auditor, kind="billing.charge")
        assert "The job that writes down what overdue loans have come to" in text
        assert "Late → Later still" in text

    def test_a_provider_and_a_key_are_named(self, auditor: Client) -> None:
        book = make_book("Eden")
        with doers.acting(doers.PROVIDER, "Stripe"):
            book.save()
        with doers.acting(doers.KEY, "Vendor"):
            book.save()
        book.save()
        who = [entry.who for entry in entries(auditor, kind="catalog.book")]
        assert who == [
            "Carrel itself",
            "Integration key “Vendor”",
            "Stripe, which told us",
            "Carrel itself",
        ]

    def test_a_person_is_never_hidden_behind_a_job(self, auditor: Client, maria: Reader) -> None:
        book = make_book()
        with doers.acting(doers.JOB, "accrue_fines"):
            book._history_user = maria
            book.save()
        assert entries(auditor, kind="catalog.book")[0].who == "Librarian Lis"


class TestWhatNoHistoryKept:
    """Rights, passwords, jobs by hand, exports: each is on the page once it was done."""

    def test_rights_of_a_role(self, auditor: Client) -> None:
        role = Group.objects.get(name="Cashier")
        kept = role.permissions.exclude(codename="view_refund")
        waive = Permission.objects.get(codename="waive_charge")
        data = {"name": "Cashier", "permissions": [p.pk for p in (*kept, waive)]}
        as_superuser().post(page(role, "change"), data)
        text = shown(auditor)
        assert "Root Nowak Role changed Cashier Can view refund → " in text
        assert waive.name in text

    def test_roles_that_are_brought_back_to_the_table(self, auditor: Client) -> None:
        waive = Permission.objects.get(codename="waive_charge")
        Group.objects.get(name="Cashier").permissions.add(waive)
        call_command("sync_roles")
        assert f"Role set as Carrel has it Cashier {waive.name} → –" in shown(auditor)
        call_command("sync_roles")
        assert OfficeAct.objects.count() == 1

    def test_a_role_given_to_a_person(self, auditor: Client, anna: Reader) -> None:
        data = {
            "first_name": "Anna",
            "last_name": "Nowak",
            "card_number": anna.card_number,
            "email": anna.email,
            "is_active": "on",
            "is_staff": "on",
            "groups": [Group.objects.get(name="Cashier").pk],
        }
        as_superuser().post(page(anna, "change"), data)
        assert "Root Nowak Roles given or taken Anna Nowak – → Cashier" in shown(auditor)

    def test_a_password_that_staff_set(self, auditor: Client, maria: Reader, anna: Reader) -> None:
        url = reverse("admin:auth_user_password_change", args=[anna.pk])
        data = {"password1": "a-long-enough-one", "password2": "a-long-enough-one"}
        signed_in(maria).post(url, {**data, "usable_password": "true"})
        text = shown(auditor, kind="alerts.officeact")
        assert "Librarian Lis Password set or taken away Anna Nowak" in text
        assert "long-enough" not in text

    def test_a_job_that_was_started_by_hand(self, auditor: Client, maria: Reader) -> None:
        signed_in(maria).post(reverse("admin:config_run_job", args=["expire_holds"]))
        assert "Librarian Lis Job started by hand expire_holds" in shown(auditor)

    def test_a_list_that_was_exported(self, auditor: Client, maria: Reader, anna: Reader) -> None:
        response = signed_in(maria).post(page(Reader, "export"), {"format": "csv"})
        assert b"Anna" in b"".join(response.streaming_content)
        signed_in(maria).get(reverse("report-overdue-csv"))
        signed_in(maria).get(reverse("billing-day-csv"))
        text = shown(auditor, kind="alerts.officeact")
        for name in ("readers-", "Overdue readers: overdue-", "takings-"):
            assert f"Librarian Lis Exported {name}" in text


class TestSearching:
    def test_by_person(self, auditor: Client, maria: Reader) -> None:
        boss = make_staff("Boss")
        for by, title in ((maria, "Solaris"), (boss, "Eden")):
            book = make_book(title)
            book._history_user = by
            book.subjects = "x"
            book.save()
        text = shown(auditor, person=maria.pk)
        assert "Solaris" in text
        assert "Eden" not in text

    def test_by_person_a_month_at_a_time(self, auditor: Client, maria: Reader) -> None:
        book = make_book()
        book._history_user = maria
        book.save()
        book.history.update(history_date=timezone.now() - timedelta(days=40))
        response = auditor.get(HISTORY, {"person": maria.pk, "kind": "catalog.book"})
        assert response.context["entries"] == []
        earlier = auditor.get(HISTORY + response.context["earlier_url"])
        assert [entry.name for entry in earlier.context["entries"]] == ["Solaris"]

    def test_by_day_with_the_whole_of_the_last_one(self, auditor: Client) -> None:
        today = timezone.localdate()
        book = make_book("Solaris")
        book.history.update(history_date=timezone.now() - timedelta(days=3))
        day = today - timedelta(days=3)
        kind = {"kind": "catalog.book"}
        assert entries(auditor, first=day, last=day, **kind)
        assert not entries(auditor, first=day + timedelta(days=1), **kind)
        assert not entries(auditor, last=day - timedelta(days=1), **kind)
        assert "Nothing like this was done" in auditor.get(HISTORY, {"first": today, **kind}).text

    @pytest.mark.parametrize(
        "query",
        [
            "person=x", "person=99999999999999999999999", "person=%00", "kind=nonsense",
            "first=nonsense", "last=9999-12-31", "first=0001-01-01", "last=0001-01-01",
            "first=2026-03-02&last=2026-03-01", "older=x", "older=%00~1~1",
            "older=2026-03-02T00:00:00~999~99999999999999999999", "older=0001-01-01~1~1",
            "older=9999-12-31T23:59:59~-1~-1",
        ],
    )  # fmt: skip
    def test_by_nonsense_is_answered_in_words(self, query: str, auditor: Client) -> None:
        make_book()
        assert auditor.get(f"{HISTORY}?{query}").status_code == 200

    def test_by_what_is_no_day_says_how_to_write_one(self, auditor: Client) -> None:
        assert (
            "“nonsense” is not a date. Write it as in"
            in auditor.get(HISTORY, {"first": "nonsense"}).text
        )

    def test_page_by_page_every_entry_once(self, auditor: Client) -> None:
        for number in range(30):
            make_copy(note=str(number))
        seen: list[str] = []
        url = f"{HISTORY}?kind=catalog.copy"
        while url:
            context = auditor.get(url).context
            seen += [entry.name for entry in context["entries"]]
            url = context["older_url"] and HISTORY + context["older_url"]
        assert len(seen) == len(set(seen)) == 30
        assert seen[0].startswith(Copy.objects.latest("pk").barcode)


class TestNobodyRewritesIt:
    @pytest.mark.parametrize("role", ROLES)
    def test_no_role_may_change_or_delete_what_is_kept(self, role: str) -> None:
        kept = {source.model._meta.model_name for source in audit.sources()}
        words = {f"{act}_{name}" for act in ("add", "change", "delete") for name in kept}
        codes = {permission.partition(".")[2] for permission in ROLES[role]}
        assert not codes & words

    def test_not_even_a_superuser_finds_a_form_for_it(self) -> None:
        client = as_superuser()
        make_copy()
        for source in audit.sources():
            pages = admin.site._registry.get(source.model)
            request: Any = client.get(HISTORY).wsgi_request
            if pages is not None:
                assert not pages.has_change_permission(request)
                assert not pages.has_delete_permission(request)
        before = Copy.history.count()
        for method in (client.post, client.put, client.patch, client.delete):
            assert method(HISTORY).status_code == 405
        assert Copy.history.count() == before

    @pytest.mark.parametrize("role", ["Librarian", "Assistant", "Cashier"])
    def test_only_the_auditor_sees_how_colleagues_work(self, role: str) -> None:
        assert signed_in(make_member(role)).get(HISTORY).status_code == 403


def test_much_history_asks_no_more_queries(auditor: Client, rule: LoanPolicy) -> None:
    by = make_staff()

    def grow(count: int) -> int:
        for _number in range(count):
            reader, copy = make_reader(), make_copy()
            lend(reader, copy, on=timezone.localdate(), by=by)
            holds.place(make_reader(), copy.book, by=by)
            pay_cash(make_charge(reader, kind=ChargeKind.FINE), "1.00", by=by)
        return queries_of(lambda: auditor.get(HISTORY))

    few = grow(1)
    assert grow(12) == few <= 10
    assert Payment.objects.exists()


def test_each_table_is_read_by_its_index(db: None) -> None:
    """Else the page would grow slower with every year."""
    with CaptureQueriesContext(connection) as asked:
        audit.newest(audit.Asked())
    explained = connection.cursor()
    if connection.vendor == "sqlite":
        explained.execute("EXPLAIN QUERY PLAN " + asked[0]["sql"])
        plan = [row[-1] for row in explained.fetchall()]
        sorted_tables = [line for line in plan if line.startswith("SCAN") and "INDEX" not in line]
        bounded = ("circulation_override", "catalog_importrun")
        assert [line for line in sorted_tables if not line.endswith(bounded)] == []
