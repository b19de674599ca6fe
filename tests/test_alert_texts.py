"""What messages say: every kind, to readers and staff, of one thing and of many, of any title."""

import os
import re
import struct
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.utils import translation
from pytest_django import Settings

from alerts import dispatch, outbox, samples, texts
from alerts.backends.base import Message
from alerts.events import KINDS, EventKind
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus, Event
from alerts.outbox import Occurrence
from circulation import desk, notices
from circulation.models import Loan, Reader
from tests.factories import lend, lend_until, make_book, make_copy, make_reader, march, set_policy

ROOT = Path(__file__).resolve().parent.parent
READERS, STAFF = ChannelAudience.READERS, ChannelAudience.STAFF
TOLD = [
    (kind, audience)
    for kind in EventKind
    for audience in ChannelAudience
    if audience.flag in KINDS[kind].audience
]
TITLES = {
    "plain": "Solaris",
    "signs": "<b>Fish</b> & “Chips” \"a\" 'b' 🐟 100% %(x)s",
    "line breaks": "Dune\r\nBcc: all@example.org\n\n\nX\u2028Y",
    "from the right": "ספר הבהיר (1)",
    "turning": "Solaris \u202egnp.exe",
    "long": "A very long title " * 60,
}
WORDS_OF_DATA = ("book_title", "author", "description", "why", "summary", "file_name", "channel")
UNRENDERED = re.compile(r"\{\{|\{%|\{#|%\((?!x\)s)|&(amp|lt|gt|quot|#)|\bNone\b")


class Words(HTMLParser):
    """What a person sees of HTML, its tags, and whether each is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen, self.tags, self.open = [], set[str](), list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "title" not in self.open:
            self.seen += data.split()


def words(text: str) -> list[str]:
    """Return the words of a plain text as HTML has them: without bullets and addresses."""
    text = re.sub(r"^- ", "", text, flags=re.MULTILINE)
    return re.sub(r": https?://\S+", "", text).split()


def told(
    kind: EventKind, audience: ChannelAudience = READERS, count: int = 1, **data: Any
) -> Message:
    return samples.message(kind, audience, count=count, data=data)


@pytest.fixture(params=[False, True], ids=["nameless", "named"])
def names_readers(request: pytest.FixtureRequest, settings: Settings) -> bool:
    """Whether staff are told who borrowed what."""
    settings.STAFF_ALERTS_NAME_READERS = request.param
    return bool(request.param)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("kind", "audience"), TOLD, ids=lambda each: each.lower())
def test_every_kind_reads_well_whatever_the_words_in_it(
    kind: EventKind, audience: ChannelAudience, count: int, names_readers: bool
) -> None:
    for title in TITLES.values():
        changed = {name: title for name in WORDS_OF_DATA if name in samples.DATA[kind]}
        message = told(kind, audience, count, **changed)
        assert 8 < len(message.subject) < 200
        assert not UNRENDERED.search(message.subject + message.text)
        assert not set("\r\u2028\u202e") & set(message.subject + message.text + message.html)
        assert message.subject.splitlines() == [message.subject]
        assert "\n\n\n" not in message.text
        assert all(line == line.rstrip() for line in message.text.splitlines())
        assert ("Anna Nowak" in message.text) == (names_readers and audience == STAFF)
        start = " ".join(title.split())[:12].replace("\u202e", "")
        assert message.text.count(start) >= (count if changed else 0)
        check_html(message)


def check_html(message: Message) -> None:
    """It says what the text says, in few tags, and loads nothing from elsewhere."""
    html = Words(message.html)
    assert not html.open
    assert html.tags <= set("html head meta title body div p ul li a br".split())
    assert html.seen == words(message.text)
    links = re.findall(r"(?:src|href|url)\s*[=(]\s*.?([^\"' >]*)", message.html)
    assert all(
        link.startswith(("http://testserver/", "https://library.example/")) for link in links
    )


@pytest.mark.parametrize(("kind", "audience"), TOLD, ids=lambda each: each.lower())
def test_every_kind_renders_with_no_more_data_than_its_title(
    kind: EventKind, audience: ChannelAudience
) -> None:
    """A text stays whole when what it may say is not known, such as a fine or a link."""
    unknown = {name: "" for name in ("fine", "pay_link", "author") if name in samples.DATA[kind]}
    message = told(kind, audience, **unknown)
    assert "None" not in message.text
    assert "The fine" not in message.text
    assert "Pay online" not in message.html


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_has_its_three_files(kind: EventKind) -> None:
    folder = Path(apps.get_app_config("alerts").path) / "templates" / "alerts" / kind.lower()
    assert {file.name for file in folder.iterdir()} == {"subject.txt", "text.txt", "text.html"}


def test_an_overdue_notice_says_how_late_what_it_costs_and_what_to_do() -> None:
    one = told(EventKind.LOAN_OVERDUE, days_late=1, fine="", due_date="2026-03-02")
    assert one.subject == "Overdue: “Solaris”"
    assert one.text == (
        "Hello Anna,\n\n"
        "“Solaris” was due on Mon 2 Mar 2026 and is 1 day late.\n\n"
        "Please bring it back as soon as you can. If it is lost, or you have brought it back "
        "already, please tell the library.\n\n"
        "Carrel\n"
    )
    four = told(EventKind.LOAN_OVERDUE, count=4)
    assert four.subject == "4 books are overdue"
    assert "\n4 books are overdue:\n\n- “Solaris” was" in four.text
    assert four.text.count("and is 8 days late. The fine so far is 3.50 USD.") == 4
    assert "Please bring them back" in four.text


def test_several_charges_are_added_up_and_each_has_its_link() -> None:
    three = told(EventKind.CHARGE_OPENED, count=3)
    assert "4.50 USD" in three.subject
    assert three.text.count("Pay online: https://library.example/pay/sample/") == 3
    assert three.html.count('<a href="https://library.example/pay/sample/">') == 3


def test_staff_are_led_to_the_page_of_what_happened() -> None:
    event = Event(kind=EventKind.PAYMENT_COMPLETED, subject="billing.charge:12")
    event.data = {"amount": "8.00"}
    row = Delivery(event=event, kind=event.kind, channel=Channel(audience=STAFF))
    link = "http://testserver/admin/billing/charge/12/change/"
    message = texts.message_for([row])
    assert f"\nLook at it: {link}\n" in message.text
    assert f'<a href="{link}">' in message.html
    event.subject = "nowhere.thing:12"
    assert "Look at it" not in texts.message_for([row]).text


def test_a_title_written_from_the_right_does_not_turn_the_sentence() -> None:
    message = told(EventKind.LOAN_DUE_SOON, book_title=TITLES["from the right"])
    assert "“\u2068ספר הבהיר (1)\u2069” is due on" in message.text
    assert "\u2068" not in told(EventKind.LOAN_DUE_SOON).text


def test_what_looks_like_a_template_in_a_title_stays_as_it_is() -> None:
    title = "{{ settings.SECRET_KEY }} {% now %} %(due)s %s"
    for count in (1, 2):
        message = told(EventKind.LOAN_OVERDUE, count=count, book_title=title)
        assert message.text.count(title) == count
        assert message.html.partition("<body")[2].count(title) == count


# Languages


CATALOGUE = {
    "Overdue: “%(title)s”\0%(n)s books are overdue": [
        "Po terminie: „%(title)s”",
        "%(n)s książki po terminie",
        "%(n)s książek po terminie",
    ],
    "Hello %(name)s,": ["Dzień dobry, %(name)s!"],
    "": ["Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=3; plural=(n==1 ? 0 : "
         "n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);\n"],
    "(no name)": ["(bez nazwiska)"],
}  # fmt: skip


@pytest.fixture
def polish(tmp_path: Path, settings: Settings) -> None:
    """A part of a Polish translation, as msgfmt compiles it."""
    pairs = [(key.encode(), "\0".join(forms).encode()) for key, forms in sorted(CATALOGUE.items())]
    start = 28 + 16 * len(pairs)
    tables: list[bytes] = []
    data = b""
    for side in (0, 1):
        for pair in pairs:
            tables.append(struct.pack("<II", len(pair[side]), start + len(data)))
            data += pair[side] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    folder = tmp_path / "pl" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.mo").write_bytes(head + b"".join(tables) + data)
    settings.LOCALE_PATHS = [str(tmp_path)]


@pytest.mark.parametrize(
    ("count", "subject"),
    [(1, "Po terminie: „Solaris”"), (3, "3 książki po terminie"), (5, "5 książek po terminie")],
)
@pytest.mark.usefixtures("polish")
def test_a_message_is_in_the_readers_language(count: int, subject: str) -> None:
    with translation.override("de"):
        message = samples.message(EventKind.LOAN_OVERDUE, READERS, count=count, language="pl")
        assert translation.get_language() == "de"
    assert message.subject == subject
    assert message.text.startswith("Dzień dobry, Anna!\n")
    assert "Pon 16 Mar 2026" in message.text
    assert "3,50 USD" in message.text
    assert '<html lang="pl">' in message.html
    assert samples.message(EventKind.LOAN_OVERDUE, READERS).subject == "Overdue: “Solaris”"


@pytest.mark.usefixtures("polish")
def test_words_that_wait_to_be_translated_are_in_the_recipients_language(
    settings: Settings,
) -> None:
    settings.STAFF_ALERTS_NAME_READERS = True
    event = Event(kind=EventKind.LOAN_CREATED, subject="circulation.loan:1", reader=Reader())
    event.data = samples.LOAN
    boss = Reader(language="pl")
    row = Delivery(event=event, kind=event.kind, channel=Channel(audience=STAFF), recipient=boss)
    assert "Reader: (bez nazwiska)." in texts.message_for([row]).text


@pytest.mark.parametrize("language", ["xx", "nonsense!", "../../etc", "", "EN_us"])
def test_a_language_that_is_not_known_is_the_sites(language: str) -> None:
    message = samples.message(EventKind.HOLD_READY, READERS, language=language)
    assert "pick it up by Fri 13 Mar 2026" in message.text


def test_a_language_written_from_the_right_turns_the_page() -> None:
    html = samples.message(EventKind.HOLD_READY, READERS, language="he").html
    assert '<html lang="he" dir="rtl">' in html


def test_a_country_may_follow_the_language() -> None:
    assert "Pon 16 Mar" in samples.message(EventKind.LOAN_OVERDUE, READERS, language="pl_PL").text


# A library's own texts


@pytest.fixture
def own(tmp_path: Path, settings: Settings) -> Path:
    """A library's folder of texts, for overdue loans."""
    (first,) = settings.TEMPLATES
    settings.TEMPLATES = [{**first, "DIRS": [str(tmp_path), *first["DIRS"]]}]
    folder = tmp_path / "alerts" / "loan_overdue"
    folder.mkdir(parents=True)
    return folder


def test_a_library_changes_one_file_and_keeps_the_others(own: Path) -> None:
    (own / "subject.txt").write_text("Bring back\n{{ event.book_title }}\n& run!\n")
    message = told(EventKind.LOAN_OVERDUE, book_title="<Dune>")
    assert message.subject == "Bring back <Dune> & run!"
    assert "is 8 days late" in message.text
    assert "is 8 days late" in message.html


def test_a_text_that_fills_the_layout_changes_the_html_with_it(own: Path) -> None:
    (own / "text.txt").write_text(
        "{% extends layout %}{% block item %}{{ event.book_title }}, {{ event.fine }}{% endblock %}"
    )
    message = told(EventKind.LOAN_OVERDUE, count=2, book_title="<Dune>")
    assert "- <Dune>, 3.50 USD\n- <Dune>, 3.50 USD\n" in message.text
    assert message.html.count("&lt;Dune&gt;, 3.50 USD") == 2
    assert Words(message.html).seen == words(message.text)


def test_a_text_without_any_layout_is_its_own_html(own: Path) -> None:
    (own / "text.txt").write_text("Dear reader,\n\n\n\n{{ event.book_title }} & more.\n")
    message = told(EventKind.LOAN_OVERDUE, book_title="<Dune>")
    assert message.text == "Dear reader,\n\n<Dune> & more.\n"
    assert "Dear reader,\n\n&lt;Dune&gt; &amp; more." in message.html


def test_a_subject_of_any_length_is_cut(own: Path) -> None:
    (own / "subject.txt").write_text("{{ event.book_title }} " * 9)
    assert len(told(EventKind.LOAN_OVERDUE, book_title="Dune " * 50).subject) < 200


@pytest.mark.parametrize("broken", [b"{% nonsense %}", b"{% if event %}", b"\xff\xfe"])
@pytest.mark.django_db
def test_a_broken_text_fails_alone(own: Path, anna: Reader, broken: bytes) -> None:
    (own / "text.txt").write_bytes(broken)
    kinds = [EventKind.LOAN_CREATED, EventKind.LOAN_OVERDUE]
    Channel.objects.update(is_active=False)
    Channel.objects.create(name="Sink", backend="console", audience=READERS, kinds=kinds)
    loan = lend(anna, make_copy(), on=march(2))
    outbox.record(EventKind.LOAN_OVERDUE, loan, reader=anna, **samples.DATA[kinds[1]])
    dispatch.fan_out()
    dispatch.send_due()
    sent, failed = Delivery.objects.order_by("event__kind")
    assert (sent.kind, sent.status) == (EventKind.LOAN_CREATED, DeliveryStatus.SENT)
    assert (failed.status, failed.attempts) == (DeliveryStatus.QUEUED, 1)


def run_show_notice(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "show_notice", *arguments],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )


def test_the_folder_is_named_by_the_environment(own: Path) -> None:
    (own / "subject.txt").write_text("{{ event.book_title }}: żółw")
    folder = own.parent.parent
    shown = run_show_notice("LOAN_OVERDUE", ALERT_TEMPLATES=str(folder), PYTHONUTF8="1")
    assert shown.stdout.startswith("Solaris: żółw\n\nHello Anna,\n")


def test_a_notice_is_shown_before_it_goes_to_anybody() -> None:
    def show(*arguments: str) -> str:
        out = StringIO()
        call_command("show_notice", *arguments, stdout=out)
        return out.getvalue()

    assert show("HOLD_READY").startswith("Ready for you: “Solaris”\n\nHello Anna,\n")
    assert "(copy 30001)" in show("LOAN_CREATED", "--staff")
    assert show("LOAN_CREATED", "--count", "3", "--html").count("<li") == 3
    assert "Pon 16 Mar" in show("LOAN_OVERDUE", "--language", "pl")
    assert show("JOB_FAILED") == show("JOB_FAILED", "--staff")
    for wrong in (["NONSENSE"], ["HOLD_READY", "--count", "0"], ["HOLD_READY", "--count", "x"]):
        with pytest.raises(CommandError):
            show(*wrong)


# What the texts are given


def fined(loan: Loan) -> Decimal:
    return sum((charge.amount for charge in loan.charges.all()), Decimal(0))


@pytest.mark.django_db
def test_the_fine_so_far_is_told_where_there_is_one(rule: Any) -> None:
    set_policy()
    for due, fine in ((march(2), "4.00"), (march(9), "")):
        loan = lend_until(due)
        notices.record_overdue(on=march(11))
        event = Event.objects.get(kind=EventKind.LOAN_OVERDUE, subject=outbox.subject_of(loan))
        assert (event.data["fine"], event.data["days_late"]) == (fine, (march(11) - due).days)


@pytest.mark.django_db
def test_what_a_renewed_loan_was_fined_before_counts_towards_the_cap(rule: Any) -> None:
    set_policy(debt_limit="50.00")
    loan = lend_until(march(2))
    desk.renew(loan, on=march(17), by=make_reader())
    assert fined(loan) == Decimal("6.50")
    loan.refresh_from_db()
    late = loan.expected_return_date + timedelta(days=22)
    notices.record_overdue(on=late)
    event = Event.objects.get(kind=EventKind.LOAN_OVERDUE, subject=outbox.subject_of(loan))
    assert event.data["fine"] == "3.50"


@pytest.mark.django_db
def test_a_message_by_the_outbox_is_what_the_sample_shows(anna: Reader) -> None:
    """The made-up data have the names of the real ones."""
    set_policy(debt_limit="50.00")
    loan = lend(anna, make_copy(make_book(daily_fee="0.50")), on=march(2))
    notices.record_overdue(on=march(30))
    for event in Event.objects.all():
        assert set(event.data) == set(samples.DATA[EventKind(event.kind)])
    assert {event.kind for event in Event.objects.all()} >= {
        EventKind.LOAN_CREATED, EventKind.LOAN_OVERDUE, EventKind.CHARGE_OPENED,
    }  # fmt: skip
    assert loan.is_open


@pytest.mark.django_db
def test_of_a_hundred_books_in_one_message_each_is_named() -> None:
    reader = make_reader()
    occurrences = [
        Occurrence(
            EventKind.LOAN_OVERDUE,
            make_book(f"Book {number}"),
            reader,
            data={**samples.DATA[EventKind.LOAN_OVERDUE], "book_title": f"Book {number}."},
        )
        for number in range(100)
    ]
    channel = Channel(audience=READERS)
    rows = [
        Delivery(event=each.event(), kind=each.kind, channel=channel, recipient=reader)
        for each in occurrences
    ]
    message = texts.message_for(rows)
    assert message.subject == "100 books are overdue"
    assert all(f"“Book {number}.”" in message.text for number in range(100))
