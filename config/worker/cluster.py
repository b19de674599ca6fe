"""A cluster of the queue that can be watched: it beats, and sends probes through all of itself.

A worker that is killed while it waits for a task takes the lock of the cluster's inner queue with
it: all others then wait for ever, as do those that are begun in its place, and tasks go on being
taken from the broker. So the process that fetches tasks puts a probe among them now and then.
"""

import logging
import os
import signal
import time
import uuid
from typing import Any, NoReturn

from django.utils import timezone
from django_q import signals
from django_q.brokers import get_broker
from django_q.cluster import Cluster
from django_q.conf import Conf
from django_q.signing import SignedPackage

from config.worker.beats import Beat, Pulse

PROBE = "config.worker.cluster.probe"
END_OF_ORPHANS = 15
"""Seconds beyond the longest task, after which a cluster without its watchdog is killed."""

Tasks = list[tuple[Any, str]]


def probe() -> None:
    """Do nothing: that a worker comes to do it is what counts."""


class BeatingBroker:
    """The broker itself, but for what its callers show by calling it.

    The process that guards the cluster saves how it stands at each of its rounds; the one that
    fetches tasks asks for more whenever the inner queue has room.
    """

    def __init__(self, broker: Any, pulse: Pulse, *, probe_every: float) -> None:
        self._broker, self._pulse, self._probe_every = broker, pulse, probe_every
        self._cluster = os.getpid()
        self._probed_at = float("-inf")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def set_stat(self, *arguments: Any) -> None:
        if not self._pulse.tell(Beat.GUARDED):
            self._end_with_watchdog()
        self._broker.set_stat(*arguments)

    def dequeue(self) -> Tasks | None:
        now = time.monotonic()
        if now - self._probed_at < self._probe_every:
            return self._broker.dequeue()  # type: ignore[no-any-return]
        self._probed_at = now
        return [(None, _packed_probe())]

    def _end_with_watchdog(self) -> None:
        """Stop the cluster, which nobody watches any more; kill it where that does not help."""
        if signal.getsignal(signal.SIGALRM) is not _kill_group:
            signal.signal(signal.SIGALRM, _kill_group)
            signal.alarm(Conf.TIMEOUT + END_OF_ORPHANS)
            os.kill(self._cluster, signal.SIGTERM)


def run(descriptor: int, probe_every: float) -> None:
    """Be a cluster, in a process group of its own, and return when it has stopped."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setsid()
    pulse = Pulse(descriptor)
    told = {
        signals.post_spawn: Beat.READY,
        signals.pre_execute: Beat.BEGUN,
        signals.post_execute_in_worker: Beat.ENDED,
        signals.post_execute: Beat.NOTED,
    }
    for sent, beat in told.items():
        sent.connect(lambda beat=beat, **_more: pulse.tell(beat), weak=False)
    logging.getLogger("django-q").addFilter(_is_no_probe)
    Cluster(BeatingBroker(get_broker(), pulse, probe_every=probe_every)).start()


def _packed_probe() -> str:
    task = {
        "id": uuid.uuid4().hex,
        "name": PROBE,
        "func": PROBE,
        "args": (),
        "kwargs": {},
        "started": timezone.now(),
    }
    return str(SignedPackage.dumps(task))


def _is_no_probe(record: logging.LogRecord) -> bool:
    return PROBE not in record.getMessage()


def _kill_group(*_signal: object) -> NoReturn:
    os.killpg(0, signal.SIGKILL)
    raise SystemExit
