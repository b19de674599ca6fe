"""Which other pages are measured: Today, the Desk, a reader's, a book's, reports and the API's."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from billing.models import PaymentStatus
from circulation.reader_page import TABS
from circulation.reports.index import REPORTS
from tests.benchmarks.size.walking import TERMS, Page, Who

BOOKS = "/api/books/"
ORDERS = ("-title", "author", "-author", "published_year", "-published_year", "-id")


def office(*, reader: int, typical: int, book: int) -> Iterator[Page]:
    """Yield the pages of the back-office that are no lists, for a busy reader and a typical one."""
    for who in ("superuser", "librarian"):
        yield Page("Today", reverse("admin:index"), who)
    yield Page("the Desk", reverse("desk"), "librarian")
    for tab in TABS:
        for pk, which in ((reader, "busiest"), (typical, "typical")):
            url = reverse(tab.url_name, args=[pk])
            yield Page("reader's page", url, called=url.replace(str(pk), which))
    for pk, which in ((book, "busiest"), (10 * typical + 1, "typical")):
        url = reverse("admin:catalog_book_change", args=[pk])
        yield Page("book's page", url, called=url.replace(str(pk), which))
    for name, pk in (("circulation_loan", 1), ("billing_charge", 5), ("billing_payment", 5)):
        yield Page("row's page", reverse(f"admin:{name}_change", args=[pk]))
    for term in TERMS:
        yield Page("palette", f"{reverse('palette')}?{urlencode({'s': term})}")
    yield from _history(by=2)
    yield from _reports()


def _history(*, by: int) -> Iterator[Page]:
    address = reverse("history")
    day = timezone.localdate() - timedelta(days=400)
    for asked in (
        {},
        {"person": by},
        {"kind": "circulation.loan"},
        {"kind": "circulation.loan", "person": by},
        {"first": day - timedelta(days=30), "last": day},
        {"first": day - timedelta(days=30), "last": day, "person": by},
    ):
        yield Page("History", f"{address}?{urlencode(asked)}")


def _reports() -> Iterator[Page]:
    today = timezone.localdate()
    year = {"first": today - timedelta(days=365), "last": today}
    yield Page("report", reverse("reports"))
    yield Page("report", reverse("billing-day"))
    for report in REPORTS:
        yield Page("report", reverse(f"report-{report.code}"))
        if "first" in report.form_class.base_fields:
            yield Page("report", f"{reverse(f'report-{report.code}')}?{urlencode(year)}")


def api(*, reader: int, book: int) -> Iterator[Page]:
    """Yield the lists of the API, as everybody asks for them, as readers do and as staff do."""
    callers: tuple[Who, ...] = ("nobody", "reader", "superuser")
    for who in callers:
        yield Page("API, list", BOOKS, who)
    for query in _of_books():
        yield Page("API, books", f"{BOOKS}?{query}", "nobody")
    yield Page("API, list", f"{BOOKS}{book}/", "nobody", f"{BOOKS}busiest/")
    for name in ("borrowings", "payments", "holds"):
        for who in callers[1:]:
            yield Page("API, list", f"/api/{name}/", who)
            yield Page("API, list", f"/api/{name}/?page=2", who)
        url = f"/api/{name}/?user_id="
        yield Page("API, list", f"{url}{reader}", called=f"{url}busiest")
    for address in ("users/me/", "users/me/books/", "users/me/account/"):
        yield Page("API, list", f"/api/{address}", "reader")
    yield from _of_staff(book)


def _of_staff(book: int) -> Iterator[Page]:
    for query in ("is_active=true", "is_active=false", "overdue=true", "overdue=false"):
        yield Page("API, list", f"/api/borrowings/?{query}")
        yield Page("API, list", f"/api/borrowings/?{query}&page=2")
    for status in PaymentStatus.values:
        yield Page("API, list", f"/api/payments/?status={status}")
    for address in (
        "loans/overdue/",
        "loans/notification-required/?type=overdue",
        "loans/notification-required/?type=due_soon",
        "holds/?status=waiting",
    ):
        yield Page("API, list", f"/api/{address}")
    yield Page("API, list", f"{BOOKS}{book}/copies/", called=f"{BOOKS}busiest/copies/")


def _of_books() -> Iterator[str]:
    yield from (urlencode({"search": term}) for term in TERMS)
    yield from (f"ordering={order}" for order in ORDERS)
    for chosen in (
        "available=true",
        "available=false",
        "cover=HARD",
        "language=en",
        "language=pl",
        "author=dickens",
        "author=william",
        "available=true&language=en",
        "search=history&available=true",
    ):
        yield from (chosen, f"{chosen}&page=2")
    yield "page=2"
    yield "page_size=100"
