"""What an examination finds: one sentence each, and how bad it is."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    OFF = "off"
    """Not set up, and nobody has to."""
    ADVICE = "advice"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """A sentence, with what to do about it where somebody should."""

    state: State
    sentence: str
    remedy: str = ""


@dataclass(frozen=True)
class Section:
    title: str
    findings: list[Finding]


def ok(sentence: str) -> Finding:
    return Finding(State.OK, sentence)


def off(sentence: str, remedy: str = "") -> Finding:
    return Finding(State.OFF, sentence, remedy)


def advice(sentence: str, remedy: str = "") -> Finding:
    return Finding(State.ADVICE, sentence, remedy)


def problem(sentence: str, remedy: str = "") -> Finding:
    return Finding(State.PROBLEM, sentence, remedy)


def count(sections: Iterable[Section], state: State) -> int:
    return sum(each.state == state for section in sections for each in section.findings)
