"""Keeps a cluster of workers going: begins it, restarts it when it dies or is stuck, stops it."""

import contextlib
import logging
import multiprocessing
import os
import signal
import time
from multiprocessing import connection
from types import FrameType

from django.db import connections
from django.utils.translation import gettext as _

from config import runs
from config.worker import cluster
from config.worker.beats import Ear
from config.worker.vitals import Patience, Vitals

log = logging.getLogger(__name__)

ROUND = 1.0
"""Seconds."""
MOST_COUNTED = 5.0
"""Seconds of one round that count: who was suspended meanwhile has seen nothing of the rest."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before a cluster that died is begun again, longer each time until it has worked."""
LAST_MOMENTS = 15.0
"""Seconds to stop in, for a cluster that has no task to finish."""

FORK = multiprocessing.get_context("fork")


class Clock:
    """Seconds that this process was there to see."""

    def __init__(self) -> None:
        self._seen, self._last = 0.0, time.monotonic()

    def now(self) -> float:
        now = time.monotonic()
        self._seen += min(now - self._last, MOST_COUNTED)
        self._last = now
        return self._seen


class Watched:
    """One cluster from its beginning to its end, in a process group of its own."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._clock = Clock()
        self.vitals = Vitals(at=self._clock.now())
        hears, tells = os.pipe()
        connections.close_all()
        self._process = FORK.Process(target=_be_cluster, args=(hears, tells, patience))
        self._process.start()
        os.close(tells)
        self._ear = Ear(hears)

    def look(self) -> str:
        """Wait for a round, and return what is wrong with the cluster, or nothing."""
        at = self._listen()
        if not self._process.is_alive():
            return _("it ended with status %(status)s") % {"status": self._process.exitcode}
        return self.vitals.problem(self._patience, at=at)

    def ask_to_stop(self) -> None:
        if self._process.is_alive():
            self._process.terminate()

    def has_ended(self) -> bool:
        self._listen()
        return not self._process.is_alive()

    def end(self) -> None:
        """Kill what is left of it: who looked after the rest may be gone."""
        if self._process.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.is_alive():  # it has not yet come to have a group of its own
            self._process.kill()
        self._process.join()
        self._ear.close()

    def _listen(self) -> float:
        connection.wait([self._process.sentinel], timeout=ROUND)
        at = self._clock.now()
        self.vitals.hear(self._ear.heard(), at=at)
        return at


class Watchdog:
    """Watches one cluster after another until it is told to stop; `grace` is what tasks then have.

    Both in seconds. A second signal to stop ends the grace.
    """

    def __init__(self, *, grace: float, patience: Patience | None = None) -> None:
        self._grace = grace
        self._patience = patience or Patience()
        self._told_to_stop = 0

    @property
    def is_to_stop(self) -> bool:
        return self._told_to_stop > 0

    def watch(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        deaths = 0
        while not self.is_to_stop:
            watched = Watched(self._patience)
            if why := self._watch_one(watched):
                deaths = 0 if watched.vitals.has_worked else deaths + 1
                if watched.vitals.has_worked:
                    _tell_staff(why)
                self._pause(PAUSES[min(deaths, len(PAUSES) - 1)])

    def _watch_one(self, watched: Watched) -> str:
        """Watch a cluster to its end; return why it ended, or nothing where that was asked for."""
        why = ""
        try:
            while not (why or self.is_to_stop):
                why = watched.look()
            if why:
                log.error("The cluster of workers is to be restarted: %s.", why)
            self._wait_for(watched)
        finally:
            watched.end()
        log.info("The cluster of workers has ended.")
        return why

    def _wait_for(self, watched: Watched) -> None:
        """Let the cluster stop by itself while it has tasks to finish, and for a moment after."""
        watched.ask_to_stop()
        clock = Clock()
        begun = free_since = clock.now()
        while not watched.has_ended() and self._told_to_stop < 2:
            now = clock.now()
            if watched.vitals.is_busy:
                free_since = now
            if now - free_since > LAST_MOMENTS or now - begun > self._grace:
                log.warning("The cluster of workers does not stop by itself: it is killed.")
                return

    def _pause(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while not self.is_to_stop and time.monotonic() < ends:
            time.sleep(0.1)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._told_to_stop += 1


def _be_cluster(hears: int, tells: int, patience: Patience) -> None:
    os.close(hears)
    cluster.run(tells, patience.probe_every)


def _tell_staff(why: str) -> None:
    """Have it noted by another process: the database may be what does not answer."""
    FORK.Process(target=_note, args=(why,), daemon=True).start()


def _note(why: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        runs.note_restart(_("The cluster of workers was restarted: %(why)s.") % {"why": why})
    except Exception:  # whatever the database raises: the log has it already
        log.exception("The restart could not be noted")
