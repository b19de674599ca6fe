"""A server on loopback that does to its callers what far ends should not."""

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Self

Chunks = Iterator[bytes]
DRIP_SECONDS = 0.02


def _repeated(start: bytes, again: bytes) -> Callable[[], Chunks]:
    return lambda: itertools.chain([start], itertools.repeat(again))


def _drops(start: bytes, again: bytes) -> Callable[[], Chunks]:
    """One byte at a time."""
    return lambda: (bytes([b]) for b in itertools.chain(start, itertools.cycle(again)))


GARBAGE = bytes(range(256)) * 4

SAYS: dict[str, Callable[[], Chunks]] = {
    "closes": lambda: iter(()),
    "resets": lambda: iter(()),
    "hangs": _repeated(b"", b""),
    "garbage": lambda: iter([GARBAGE]),
    "garbage with status 200": lambda: iter([b"HTTP/1.1 200 OK\r\n\r\n" + GARBAGE]),
    "json too deep": lambda: iter([b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000]),
    "json of another form": lambda: iter([b'HTTP/1.1 400 Bad Request\r\n\r\n{"parameters": [1]}']),
    "broken header": lambda: iter([b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n: ?\r\n\r\n{}"]),
    "broken chunks": lambda: iter(
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"]
    ),
    "body too short": lambda: iter([b"HTTP/1.1 500 Oh\r\nContent-Length: 900\r\n\r\nabc"]),
    "huge body": _repeated(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536),
    "huge headers": _repeated(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 60_000 + b"\r\n"),
    "huge line": _repeated(b"HTTP/1.1 200 OK\r\nX-More: ", b"x" * 65_536),
    "slow headers": _drops(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n"),
    "slow body": _drops(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "slow greeting": _drops(b"220-", b"more "),
    "slow reply": _drops(b"220 here\r\n250-", b"more "),
    "endless greeting": _repeated(b"", b"220-more\r\n" * 10),
    "says no": lambda: iter([b"554 go away\r\n"]),
}
FAULTS = ["refuses", *SAYS]


class FaultyServer:
    """Use it as a context manager; `fault` is one of FAULTS."""

    def __init__(self) -> None:
        self.fault = "hangs"
        self.was_left = threading.Event()
        """Set when a caller has gone away, or has been told all there was."""
        self._stopping = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def does(self, fault: str) -> None:
        self.fault = fault
        if fault == "refuses":
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _address = self._listening.accept()
                threading.Thread(target=self._treat, args=(caller,), daemon=True).start()

    def _treat(self, caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            caller.settimeout(DRIP_SECONDS)
            if self.fault == "resets":
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            for chunk in SAYS[self.fault]():
                if self._stopping.is_set() or self._has_left(caller, waits=len(chunk) < 2):
                    break
                caller.settimeout(0.5)  # who has hung up reads no more
                caller.sendall(chunk)
                caller.settimeout(DRIP_SECONDS)
        self.was_left.set()

    @staticmethod
    def _has_left(caller: socket.socket, *, waits: bool) -> bool:
        """Read what the caller says; that it says nothing for a moment is not leaving."""
        if not waits:
            return False
        try:
            return not caller.recv(65_536)
        except TimeoutError:
            return False
