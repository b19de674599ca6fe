"""What the Bot API answers, and how a test's server is told to."""

import json
from datetime import UTC, datetime
from typing import Any

import telegram as library
from pytest_httpserver import HTTPServer

from tests.alert_servers import BOT_PATH

Object = dict[str, Any]


def taken(text: str = "…") -> Object:
    """Return the answer to a message that was sent, made by the library's own types."""
    chat = library.Chat(id=4711, type=library.Chat.PRIVATE, first_name="Maria")
    sent = library.Message(
        message_id=365, date=datetime(2026, 3, 3, 6, tzinfo=UTC), chat=chat, text=text
    )
    return {"ok": True, "result": sent.to_dict()}


def refused(code: int, description: str, **parameters: int) -> Object:
    answer: Object = {"ok": False, "error_code": code, "description": description}
    return {**answer, "parameters": parameters} if parameters else answer


def answers(server: HTTPServer, *given: Object) -> None:
    """Give these answers in order."""
    for answer in given:
        status = answer.get("error_code", 200)
        server.expect_ordered_request(BOT_PATH, method="POST").respond_with_json(
            answer, status=status
        )


def sent_to(server: HTTPServer) -> list[Object]:
    return [json.loads(request.data) for request, _response in server.log]
