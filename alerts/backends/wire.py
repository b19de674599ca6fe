"""Time limits on conversations with far ends: for the whole of one, not for each byte of it."""

import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread, Timer
from typing import Any, Self, TypeVar

Result = TypeVar("Result")
Found = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]


def anywhere(_address: str) -> None:
    """Let a connection lead where it does: the site's own settings say so."""


class Limit:
    """The seconds that a conversation may take, from now on.

    When they are over, what is being read from or written to its sockets ends: a timeout of a
    socket alone starts again with each byte, and a far end may drip.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = time.monotonic() + seconds
        self._watched: list[socket.socket] = []
        self._timer = Timer(seconds, self._hang_up)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()
        self._timer.join()
        for each in self._watched:
            each.close()

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._ends

    @property
    def left(self) -> float:
        """Seconds, and never 0: with that a socket would not wait at all."""
        return max(self._ends - time.monotonic(), 0.001)

    def watch(self, connected: socket.socket) -> None:
        # A duplicate remains ours where TLS takes the socket itself over.
        self._watched.append(connected.dup())
        if self.is_over:
            raise TimeoutError

    def _hang_up(self) -> None:
        for each in list(self._watched):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def dial(
    host: str, port: int, limit: Limit, *, check: Callable[[str], None] = anywhere
) -> socket.socket:
    """Connect to an address of the host; `check` is asked about each of them before, and may raise.

    What is connected to is what was checked: the name is looked up once. Raises OSError.
    """
    found = look_up(host, port, seconds=limit.left)
    for *_, address in found:
        check(address[0])
    problem = OSError("no address")
    for place, (family, kind, protocol, _name, address) in enumerate(found):
        connection = socket.socket(family, kind, protocol)
        try:
            # One address that is silent leaves time for the others.
            connection.settimeout(limit.left / (len(found) - place))
            connection.connect(address)
            connection.settimeout(limit.left)
            limit.watch(connection)
        except OSError as trouble:
            connection.close()
            problem = trouble
        else:
            return connection
    raise problem


def look_up(host: str, port: int, *, seconds: float) -> Found:
    """Return the addresses of a host. Raises OSError (TimeoutError, gaierror) or UnicodeError."""
    return within(seconds, partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))


def within(seconds: float, do: Callable[[], Result]) -> Result:
    """Do what knows no limit of its own; when the time is over, leave it behind.

    Raises TimeoutError, and what `do` raises.
    """
    outcome: SimpleQueue[tuple[Result | None, Exception | None]] = SimpleQueue()

    def work() -> None:
        try:
            outcome.put((do(), None))
        except Exception as problem:
            outcome.put((None, problem))

    Thread(target=work, daemon=True).start()
    try:
        result, problem = outcome.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if problem is not None:
        raise problem
    return result  # type: ignore[return-value]  # there is one where there is no problem
