"""How a cluster is, by its beats: whether it is stuck, and whether it is at work."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from config.worker.beats import Beat


@dataclass(frozen=True)
class Patience:
    """Seconds: how often a probe is sent, and how long silence is borne."""

    probe_every: float = 30
    unguarded: float = 90
    idle: float = 75
    """Of a worker that is free, while nothing comes through the cluster, not even a probe."""


class Vitals:
    """What is known of one cluster. A worker at a long task is no reason to worry, a free one is.

    So clusters are judged each by itself: how much waits in the queue they share says nothing.
    """

    def __init__(self, *, at: float) -> None:
        self._guarded_at = self._noted_at = at
        self._free: dict[int, float] = {}
        self._busy: set[int] = set()
        self.has_worked = False

    def hear(self, beats: Iterable[tuple[Beat, int]], *, at: float) -> None:
        for beat, pid in beats:
            self._hear(beat, pid, at)

    def problem(self, patience: Patience, *, at: float) -> str:
        """Return why the cluster is to be restarted, or nothing."""
        if at - self._guarded_at > patience.unguarded:
            return _("nobody has looked after its workers for %(seconds)d seconds") % {
                "seconds": at - self._guarded_at
            }
        self._forget_the_dead()
        free = at - min(self._free.values(), default=at)
        idle = min(free, at - self._noted_at)
        if idle > patience.idle:
            return _(
                "its workers are free, but for %(seconds)d seconds none of them was given a task"
            ) % {"seconds": idle}
        return ""

    @property
    def is_busy(self) -> bool:
        self._forget_the_dead()
        return bool(self._busy)

    def _hear(self, beat: Beat, pid: int, at: float) -> None:
        match beat:
            case Beat.GUARDED:
                self._guarded_at = at
            case Beat.NOTED:
                self._noted_at = at
                self.has_worked = True
            case Beat.BEGUN:
                self._free.pop(pid, None)
                self._busy.add(pid)
            case Beat.READY | Beat.ENDED:
                self._busy.discard(pid)
                self._free[pid] = at

    def _forget_the_dead(self) -> None:
        for pid in [pid for pid in (*self._free, *self._busy) if not _lives(pid)]:
            self._free.pop(pid, None)
            self._busy.discard(pid)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
