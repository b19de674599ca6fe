"""Telegram, by a server that answers as the Bot API documents; python-telegram-bot is the judge."""

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
import telegram as library
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from telegram.constants import MessageLimit

from alerts.backends.base import (
    ChannelGoneError,
    Message,
    UndeliverableError,
)
from alerts.backends.telegram import Telegram, TelegramForm, shortened, units
from circulation.models import Reader
from tests.alert_servers import BOT_PATH, BOT_TOKEN, make_message
from tests.telegram_answers import answers, refused, sent_to, taken

BACKEND = Telegram()
GROUP = "-1001234567"


def send(message: Message | None = None, to: str = "4711", **config: str) -> Any:
    return BACKEND.send(message or make_message(), to, config)


class _Shown(HTMLParser):
    """What a person sees of Telegram's HTML: its documented tags and four named entities."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "b"
        assert not attrs
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert "<" not in data
        self.text += data

    def handle_entityref(self, name: str) -> None:
        self.text += {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}[name]


def test_what_is_sent_is_what_a_telegram_library_sends(telegram_server: HTTPServer) -> None:
    telegram_server.expect_request(BOT_PATH).respond_with_json(taken())
    bot = library.User(id=7000000001, is_bot=True, first_name="Library", username="library_bot")
    me = BOT_PATH.replace("sendMessage", "getMe")
    telegram_server.expect_request(me).respond_with_json({"ok": True, "result": bot.to_dict()})
    message = make_message()

    receipt = send(message)
    # In a thread of its own: a browser of another test may keep a loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(_send_by_the_library(telegram_server, message))).result()

    assert receipt.answer == "Telegram has taken it."
    assert not receipt.changed
    ours, _me, theirs = telegram_server.log
    assert ours[0].headers["Content-Type"] == "application/json"
    form = {name: _value(value) for name, value in theirs[0].form.items()}
    assert json.loads(ours[0].data) == {**form, "chat_id": "4711"}


async def _send_by_the_library(server: HTTPServer, message: Message) -> None:
    async with library.Bot(BOT_TOKEN, base_url=server.url_for("/bot")) as bot:
        sent = await bot.send_message(
            chat_id=4711,
            text=f"<b>{message.subject}</b>\n\n{message.text.strip()}",
            parse_mode=library.constants.ParseMode.HTML,
            link_preview_options=library.LinkPreviewOptions(is_disabled=True),
        )
    assert sent.message_id == 365


def _value(form_value: str) -> Any:
    return json.loads(form_value) if form_value.startswith("{") else form_value


@pytest.mark.parametrize(
    "title",
    [
        "<b>Solaris</b>",
        "Ben & Jerry &amp; &lt;friends&gt;",
        "1 < 2 > 0",
        "_under_ *star* [link](http://x) `code` ~~ || # + - = | { } . !",
        "Łódź „Żółw” 東京 👩‍👩‍👧 🇵🇱",
        '"quoted" and it\'s',
        "</b><a href='https://evil'>",
    ],
)
def test_titles_arrive_as_typed(telegram_server: HTTPServer, title: str) -> None:
    answers(telegram_server, taken())

    send(make_message(subject=title, text=f"{title} is due.\n\nPlease bring it back."))

    (body,) = sent_to(telegram_server)
    assert body["parse_mode"] == "HTML"
    shown = _Shown(body["text"]).text
    assert shown == f"{title}\n\n{title} is due.\n\nPlease bring it back."


@pytest.mark.parametrize("word", ["word", "żółw", "🐢", "👩‍👩‍👧", "<&>"])
def test_a_long_message_is_cut_between_words(telegram_server: HTTPServer, word: str) -> None:
    answers(telegram_server, taken())
    words = " ".join([word] * 5000)

    send(make_message(text=words))

    (body,) = sent_to(telegram_server)
    shown = _Shown(body["text"]).text
    length = len(shown.encode("utf-16-le")) // 2
    assert MessageLimit.MAX_TEXT_LENGTH - 20 < length <= MessageLimit.MAX_TEXT_LENGTH
    assert shown.endswith(f" {word}…")


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("one two", 7, "one two"),
        ("one two three", 8, "one two…"),
        ("one two three", 7, "one…"),
        ("one\ntwo three", 9, "one\ntwo…"),
        ("unbroken", 5, "unbr…"),
        ("🐢🐢🐢", 6, "🐢🐢🐢"),
        ("🐢🐢🐢", 5, "🐢🐢…"),
        ("🐢🐢🐢", 4, "🐢…"),
    ],
)
def test_shortened_texts_fit_and_end_in_an_ellipsis(text: str, most: int, expected: str) -> None:
    assert shortened(text, most) == expected
    assert units(expected) <= most


def test_what_telegram_cannot_parse_is_sent_again_as_plain_text(
    telegram_server: HTTPServer,
) -> None:
    trouble = 'Bad Request: can\'t parse entities: Unsupported start tag "solaris" at byte offset 5'
    answers(telegram_server, refused(400, trouble), taken())

    send(make_message(subject="<solaris>", text="Due & late.\n"))

    first, second = sent_to(telegram_server)
    assert first["parse_mode"] == "HTML"
    assert "parse_mode" not in second
    assert second["text"] == "<solaris>\n\nDue & late."


def test_a_group_that_has_moved_is_followed_once_and_noted(telegram_server: HTTPServer) -> None:
    moved = refused(
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        migrate_to_chat_id=-1001234567890,
    )
    answers(telegram_server, moved, taken())

    receipt = send(to="-42")

    assert [body["chat_id"] for body in sent_to(telegram_server)] == ["-42", "-1001234567890"]
    assert receipt.changed == {"chat_id": "-1001234567890"}


def test_a_group_that_moves_again_and_again_is_not_followed_for_ever(
    telegram_server: HTTPServer,
) -> None:
    moved = refused(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-43)
    answers(telegram_server, moved, moved)

    with pytest.raises(UndeliverableError):
        send(to="-42")

    assert len(telegram_server.log) == 2


def test_a_channels_own_bot_and_chat_go_before_the_environments(
    telegram_server: HTTPServer,
) -> None:
    telegram_server.expect_request("/bot99:other/sendMessage").respond_with_json(taken())

    send(to=BACKEND.address({"chat_id": "5"}, None), token="99:other")

    assert sent_to(telegram_server)[0]["chat_id"] == "5"
    assert BACKEND.address({"chat_id": ""}, None) == "4711"


@pytest.mark.parametrize("token", ["", "not a token", "1:a/../../b", "1:a\r\nX: y"])
def test_without_a_bot_token_the_channel_is_of_no_use(
    telegram_server: HTTPServer, settings: Settings, token: str
) -> None:
    settings.TELEGRAM_BOT_TOKEN = token

    with pytest.raises(ChannelGoneError, match="TELEGRAM_BOT_TOKEN") as gone:
        send()

    assert not token or token not in str(gone.value)
    assert not telegram_server.log


def test_readers_are_not_told_in_the_chat_of_the_staff(settings: Settings) -> None:
    settings.TELEGRAM_CHAT_ID = "4711"

    assert BACKEND.address({}, Reader(email="anna@example.org")) == ""
    assert BACKEND.address({}, Reader(email="maria@example.org", is_staff=True)) == "4711"


def test_the_pace_is_that_of_the_bot_and_of_the_group(settings: Settings) -> None:
    settings.TELEGRAM_BOT_TOKEN = BOT_TOKEN

    alone = BACKEND.pace({"chat_id": "4711"})
    in_a_group = BACKEND.pace({"chat_id": GROUP})
    by_another_bot = BACKEND.pace({"chat_id": GROUP, "token": "99:other"})

    ((bot, often),) = alone
    assert often == timedelta(seconds=1) / 30
    assert re.fullmatch("telegram:[0-9a-f]{16}", bot)
    assert in_a_group == [(bot, often), (f"{bot}:{GROUP}", timedelta(seconds=3))]
    assert not {key for key, _ in by_another_bot} & {key for key, _ in in_a_group}


def test_the_form_asks_for_what_the_environment_does_not_say(settings: Settings) -> None:
    settings.TELEGRAM_BOT_TOKEN = settings.TELEGRAM_CHAT_ID = ""
    asked = TelegramForm({}).errors
    assert "TELEGRAM_BOT_TOKEN" in str(asked["token"])
    assert "TELEGRAM_CHAT_ID" in str(asked["chat_id"])
    assert TelegramForm({"chat_id": "@city_library", "token": BOT_TOKEN}).is_valid()
    assert not TelegramForm({"chat_id": "1", "token": "secret"}).is_valid()

    settings.TELEGRAM_BOT_TOKEN = BOT_TOKEN
    assert TelegramForm({"chat_id": GROUP}).is_valid()
    assert not TelegramForm({"chat_id": "my chat"}).is_valid()

    settings.TELEGRAM_CHAT_ID = "4711"
    assert TelegramForm({}).is_valid()
