"""What a cluster's processes tell their watchdog through a pipe: lines of a letter and a pid."""

import os
from collections.abc import Iterator
from enum import StrEnum

LONGEST_READ = 1 << 16


class Beat(StrEnum):
    GUARDED = "g"
    """The process that looks after the others has made its round."""
    READY = "r"
    """A worker waits for its first task."""
    BEGUN = "b"
    ENDED = "e"
    NOTED = "n"
    """A task has gone through all of the cluster: its end was taken note of."""


class Pulse:
    """The end that is written to. It never makes anybody wait: what does not fit is left out."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor

    def tell(self, beat: Beat) -> bool:
        """Return whether anybody is left to listen."""
        try:
            os.write(self._descriptor, f"{beat}{os.getpid()}\n".encode())
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


class Ear:
    """The end that is read from."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._rest = b""

    def fileno(self) -> int:
        return self._descriptor

    def heard(self) -> Iterator[tuple[Beat, int]]:
        """Return what was told since, with who told it."""
        while chunk := self._read():
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                yield Beat(line[:1].decode()), int(line[1:])

    def close(self) -> None:
        os.close(self._descriptor)

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, LONGEST_READ)
        except BlockingIOError:
            return b""
