"""The watchdog of the workers: what is stuck or dead is begun again, what works is left alone."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_q.brokers import get_broker, redis_broker
from django_q.conf import Conf
from django_q.tasks import async_task

from alerts.events import EventKind
from alerts.models import Event
from circulation.models import Reader
from config.models import JobRun
from config.runs import RUN, WORKER
from config.worker.beats import Beat, Ear, Pulse
from config.worker.vitals import Patience, Vitals
from tests.brokers import Redis
from tests.watchdogs import PATIENCE, Watchdog, is_alive
from tests.workers import wait_until

HERE = os.getpid()
GONE = 2**22 + 1
"""No process has such a number."""
PATIENT = Patience(probe_every=30, unguarded=90, idle=75)

Beats = list[tuple[int, Beat, int]]


@pytest.mark.parametrize(
    ("told", "now", "problem"),
    [
        ([(0, Beat.GUARDED, 1), (0, Beat.READY, HERE)], 75, ""),
        ([(9, Beat.GUARDED, 1), (0, Beat.READY, HERE)], 76, "its workers are free"),
        ([(90, Beat.GUARDED, 1), (0, Beat.READY, HERE), (30, Beat.NOTED, 1)], 100, ""),
        ([(90, Beat.GUARDED, 1), (0, Beat.READY, HERE), (20, Beat.NOTED, 1)], 100, "are free"),
        # All are at work: one that has been for minutes is the business of the cluster itself.
        ([(290, Beat.GUARDED, 1), (0, Beat.READY, HERE), (5, Beat.BEGUN, HERE)], 300, ""),
        # It has been free for a moment only, whatever waited before.
        ([(299, Beat.GUARDED, 1), (5, Beat.BEGUN, HERE), (290, Beat.ENDED, HERE)], 300, ""),
        # One at a long task does not hide that the other is given nothing.
        ([(290, Beat.GUARDED, 1), (0, Beat.READY, HERE), (5, Beat.BEGUN, 1)], 300, "are free"),
        # Who was killed has nothing to do, and need not.
        ([(290, Beat.GUARDED, 1), (0, Beat.READY, GONE), (5, Beat.BEGUN, HERE)], 300, ""),
        ([(5, Beat.GUARDED, 1), (290, Beat.NOTED, 1)], 300, "nobody has looked after"),
        ([], 91, "nobody has looked after"),
    ],
)
def test_a_cluster_is_stuck_when_a_worker_is_free_and_nothing_comes_through(
    told: Beats, now: int, problem: str
) -> None:
    vitals = Vitals(at=0)
    for at, beat, pid in told:
        vitals.hear([(beat, pid)], at=at)
    said = vitals.problem(PATIENT, at=now)
    assert problem in said
    assert bool(problem) == bool(said)


@pytest.fixture
def pipe() -> Iterator[tuple[Ear, Pulse]]:
    hears, tells = os.pipe()
    yield Ear(hears), Pulse(tells)
    for descriptor in (hears, tells):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_beats_arrive_in_order_with_who_sent_them(pipe: tuple[Ear, Pulse]) -> None:
    ear, pulse = pipe
    for beat in (Beat.BEGUN, Beat.ENDED):
        assert pulse.tell(beat)
    assert list(ear.heard()) == [(Beat.BEGUN, HERE), (Beat.ENDED, HERE)]
    assert list(ear.heard()) == []


def test_a_watchdog_that_listens_to_nothing_holds_nobody_up(pipe: tuple[Ear, Pulse]) -> None:
    _ear, pulse = pipe
    assert all(pulse.tell(Beat.GUARDED) for _each in range(20_000))


def test_a_cluster_learns_that_its_watchdog_is_gone(pipe: tuple[Ear, Pulse]) -> None:
    ear, pulse = pipe
    ear.close()
    assert not pulse.tell(Beat.GUARDED)


Start = Callable[..., Watchdog]


@pytest.fixture
def start(tmp_path: Path, transactional_db: None) -> Iterator[Start]:
    started: list[Watchdog] = []

    def start(**options: str) -> Watchdog:
        started.append(Watchdog(tmp_path / f"log{len(started)}", **options))
        return started[-1]

    yield start
    for watchdog in started:
        left = watchdog.everybody()
        watchdog.kill()
        for pid in left:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(params=["the database", "Redis"])
def queue(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "the database":
        return ""
    redis: Redis = request.getfixturevalue("redis")
    monkeypatch.setattr(Conf, "REDIS", redis.url)
    return redis.url


def hand_over(queue: str, function: str, *arguments: object) -> None:
    async_task(function, *arguments, broker=redis_broker.Redis() if queue else get_broker())


def runs() -> int:
    return JobRun.objects.filter(name="forget_tokens").exclude(finished_at=None).count()


def runs_a_job(queue: str) -> None:
    before = runs()
    hand_over(queue, RUN, "forget_tokens")
    wait_until(lambda: runs() > before, seconds=20)


def hang(watchdog: Watchdog) -> None:
    """Kill those that wait: one of them holds the lock of the inner queue."""
    watchdog.wait_for_workers()
    time.sleep(1)
    for pid in watchdog.workers():
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_cluster_that_hangs_is_restarted_and_staff_hear_of_it(start: Start, queue: str) -> None:
    Reader.objects.create(email="root@example.org", is_staff=True)
    watchdog = start(redis=queue)
    watchdog.wait_for_workers()
    runs_a_job(queue)
    before = watchdog.everybody()
    hang(watchdog)
    wait_until(lambda: JobRun.objects.filter(name=WORKER).exists(), seconds=40)
    assert "its workers are free" in JobRun.objects.get(name=WORKER).error
    assert Event.objects.filter(kind=EventKind.JOB_FAILED).count() == 1
    runs_a_job(queue)
    assert watchdog.restarts == 1
    assert not any(is_alive(pid) for pid in before)
    assert watchdog.stop() == 0
    assert "Traceback" not in watchdog.said


@pytest.mark.slow
def test_one_that_hangs_is_restarted_although_its_neighbour_takes_all_tasks(start: Start) -> None:
    stuck, healthy = start(), start()
    healthy.wait_for_workers()
    hang(stuck)
    ends = time.monotonic() + 3 * PATIENCE["idle"]
    while time.monotonic() < ends:
        hand_over("", RUN, "forget_tokens")
        time.sleep(0.3)
    wait_until(lambda: len(stuck.workers()) == 2, seconds=30)
    assert (stuck.restarts, healthy.restarts) == (1, 0)


@pytest.mark.slow
def test_long_tasks_and_an_empty_queue_are_no_reason_to_restart(start: Start) -> None:
    watchdog = start()
    watchdog.wait_for_workers()
    for _each in range(3):  # one more than there are workers: it is fetched, and waits
        hand_over("", "time.sleep", 2.5 * PATIENCE["idle"])
    time.sleep(6 * PATIENCE["idle"])
    runs_a_job("")
    assert watchdog.restarts == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_cluster_that_nobody_guards_any_more_is_restarted(start: Start, number: int) -> None:
    watchdog = start()
    watchdog.wait_for_workers()
    runs_a_job("")
    before = watchdog.everybody()
    os.kill(watchdog.guard(), number)
    wait_until(lambda: len(set(watchdog.workers()) - before) >= 2, seconds=40)
    runs_a_job("")
    assert not any(is_alive(pid) for pid in before)


@pytest.mark.slow
def test_told_to_stop_it_lets_running_tasks_finish_and_leaves_nobody_behind(start: Start) -> None:
    watchdog = start()
    watchdog.wait_for_workers()
    hand_over("", "time.sleep", 5)
    wait_until(lambda: "processing" in watchdog.said)
    time.sleep(1)
    everybody = watchdog.everybody()
    assert watchdog.stop() == 0
    assert "Processed 'time.sleep'" in watchdog.said
    assert "is killed" not in watchdog.said
    assert not any(is_alive(pid) for pid in everybody)


@pytest.mark.slow
@pytest.mark.parametrize("is_stuck", [False, True])
def test_a_killed_watchdog_takes_its_cluster_with_it(start: Start, is_stuck: bool) -> None:
    watchdog = start(TASK_TIMEOUT="1")
    watchdog.wait_for_workers()
    if is_stuck:
        hang(watchdog)
    everybody = watchdog.everybody()
    watchdog.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in everybody), seconds=30)


@pytest.mark.slow
def test_while_its_queue_is_away_it_goes_on_trying(start: Start, redis: Redis) -> None:
    redis.kill()
    watchdog = start(redis=redis.url)
    wait_until(lambda: watchdog.restarts >= 2, seconds=30)
    redis.start()
    watchdog.wait_for_workers()
    assert not JobRun.objects.filter(name=WORKER).exists()
    assert watchdog.stop() == 0
