"""Redis as the queue, and away: what is done at a desk or a page is done, and says what is not."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django_q.conf import Conf
from pytest_django import Settings

from alerts import tasks
from alerts.models import ChannelAudience
from billing.models import Payment
from catalog import import_admin
from catalog.models import Book
from catalog.uploads import Upload
from circulation.models import Loan, Reader
from tests.factories import make_book, make_copy
from tests.office import act_on_page, as_superuser, page, said
from tests.sinks import Memory, make_channel

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("rule", "sink"),
]

Use = Callable[[int], None]


@pytest.fixture
def use_port(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Set the site up for a Redis on this port, as the settings do for REDIS_URL."""

    def use(port: int) -> None:
        url = f"redis://127.0.0.1:{port}/0?{settings.PATIENCE}"
        settings.Q_CLUSTER = {**settings.Q_CLUSTER, "orm": None, "redis": url}
        shared = {"BACKEND": "config.shared_cache.Redis", "LOCATION": url}
        settings.CACHES = {"default": shared}
        monkeypatch.setattr(Conf, "ORM", None)
        monkeypatch.setattr(Conf, "REDIS", url)

    return use


@pytest.fixture
def closed(use_port: Use) -> None:
    """Nobody listens."""
    use_port(1)


@pytest.fixture
def silent(use_port: Use) -> Iterator[None]:
    """Somebody takes the connection, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        use_port(server.getsockname()[1])
        yield


@pytest.fixture
def client() -> Client:
    return as_superuser()


def scan(client: Client, **fields: object) -> None:
    answer = client.post(reverse("desk_scan"), fields)
    assert (answer.status_code, answer.json()["tone"]) == (200, "good")


def test_the_desk_lends_and_takes_back_for_a_fee_and_the_sweep_tells_the_reader(
    client: Client, anna: Reader, closed: None, stripe_server: object, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_CREATED", "LOAN_RETURNED"])
    copy = make_copy(make_book("Solaris", daily_fee="1.00"))
    scan(client, mode="lend", code=copy.barcode, reader=anna.pk)
    scan(client, mode="return", code=copy.barcode)
    assert Loan.objects.get().actual_return_date
    assert Payment.objects.get().must_open  # which the reconcile job sees
    tasks.deliver()
    assert [message.kind for message in sink.sent] == ["LOAN_CREATED", "LOAN_RETURNED"]


@pytest.mark.slow
def test_a_queue_that_never_answers_holds_the_desk_up_for_seconds_only(
    client: Client, anna: Reader, silent: None
) -> None:
    copy = make_copy()
    began = time.monotonic()
    scan(client, mode="lend", code=copy.barcode, reader=anna.pk)
    assert time.monotonic() - began < 5
    assert Loan.objects.exists()


def test_a_reader_signs_in_all_the_same_and_the_log_says_that_nobody_counts(
    anna: Reader, closed: None, caplog: pytest.LogCaptureFixture
) -> None:
    anna.set_password("blue-door-7")
    anna.save()
    sent = {"email": anna.email, "password": "blue-door-7"}
    answer = Client().post("/api/users/token/", sent, content_type="application/json")
    assert answer.status_code == 200
    assert "The cache in Redis does not answer" in caplog.text


def test_a_job_that_cannot_be_begun_says_so(client: Client, closed: None) -> None:
    answer = client.post(reverse("admin:config_run_job", args=["expire_holds"]))
    assert answer.status_code == 302
    assert "the queue does not answer" in said(answer)


def test_a_test_message_that_cannot_be_sent_says_so(client: Client, closed: None) -> None:
    channel = make_channel(ChannelAudience.STAFF)
    assert act_on_page(client, "send_test", channel).status_code == 302
    assert "the queue does not answer" in client.get(page(channel, "change")).text


def import_books(client: Client) -> Any:
    file = SimpleUploadedFile("books.csv", b"title\nSolaris\nDune\n")
    return client.post(reverse("admin:catalog_book_import"), {"import_file": file})


def test_a_large_file_that_cannot_be_checked_says_so(
    client: Client, closed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_admin, "MOST_ROWS_AT_ONCE", 1)
    answer = import_books(client)
    assert answer.status_code == 200
    assert "The queue does not answer" in answer.text
    assert not Upload.objects.get().is_busy


def test_an_import_that_cannot_be_begun_says_so_and_can_be_confirmed_again(
    client: Client, closed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview = import_books(client)
    monkeypatch.setattr(import_admin, "MOST_ROWS_AT_ONCE", 1)
    agreed = preview.context["confirm_form"].initial
    confirm = reverse("admin:catalog_book_process_import")
    answer = client.post(confirm, agreed, follow=True)
    assert "The queue does not answer" in answer.text
    assert not Book.objects.exists()
    monkeypatch.setattr(import_admin, "MOST_ROWS_AT_ONCE", 2)
    client.post(confirm, answer.context["confirm_form"].initial, follow=True)
    assert Book.objects.count() == 2


@pytest.mark.parametrize("url", ["/admin/", "/admin/config/jobrun/jobs/", "/admin/django_q/ormq/"])
def test_the_pages_about_jobs_open(url: str, client: Client, closed: None) -> None:
    assert client.get(url).status_code == 200
