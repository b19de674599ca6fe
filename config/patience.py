"""Asking what may never answer, and waiting for it no longer than is said."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import Generic, TypeVar

from django.db import connections

T = TypeVar("T")
MOST_WAITING = 4


class NoAnswerError(TimeoutError):
    """It did not answer in time; whether it ever will is not known."""


class Question(Generic[T]):
    """Asked in threads with connections of their own, which nobody has to wait for.

    While as many as MOST_WAITING are without an answer, no further one is asked.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._free = BoundedSemaphore(MOST_WAITING)

    def begin(self) -> Callable[[float], T]:
        """Ask, and return what waits some seconds for the answer.

        That raises NoAnswerError, or whatever was raised there.
        """
        asked: Future[T] = Future()
        if self._free.acquire(blocking=False):
            Thread(target=self._answer, args=(asked,), daemon=True).start()

        def within(seconds: float) -> T:
            try:
                return asked.result(timeout=max(seconds, 0))
            except TimeoutError as late:
                if asked.done():  # a time limit of what was asked, which is an answer
                    raise
                raise NoAnswerError from late

        return within

    def _answer(self, asked: "Future[T]") -> None:
        try:
            asked.set_result(self._ask())
        except BaseException as problem:  # whoever asked is told
            asked.set_exception(problem)
        finally:
            connections.close_all()
            self._free.release()
