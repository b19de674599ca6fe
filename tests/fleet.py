"""Two machines of one site: what of them is killed, and when which was not to be relied on."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.crowd import Fault
from tests.sites import Machine, Process, kill


class Fleet:
    """The machines, with their processes: what is killed is begun again, as by a supervisor."""

    def __init__(self, machines: list[Machine]) -> None:
        self.all = machines
        self._processes: dict[tuple[Machine, str], Process] = {}
        self._down: list[tuple[Machine, float, float]] = []

    def start(self, machine: Machine, *names: str) -> None:
        for name in names:
            self._processes[machine, name] = machine.start(name)

    def start_all(self, *names: str) -> None:
        for machine in self.all:
            self.start(machine, *names)
        for machine in self.all:
            machine.wait_until_it_is_ready()

    def kill_web(self, machine: Machine) -> None:
        self._processes[machine, "web"].kill()
        self.start(machine, "web")

    def kill_web_worker(self, machine: Machine) -> None:
        self._kill_child(machine, "web")

    def kill_workers_watchdog(self, machine: Machine) -> None:
        self._processes[machine, "worker"].kill_alone()
        self.start(machine, "worker")

    def kill_worker(self, machine: Machine) -> None:
        self._processes[machine, "worker"].kill()
        self.start(machine, "worker")

    def kill_one_of_the_workers(self, machine: Machine) -> None:
        self._kill_child(machine, "worker")

    def kill_machine(self, machine: Machine) -> None:
        for name in ("web", "worker"):
            self._processes[machine, name].kill()
        self.start(machine, "web", "worker")

    def _kill_child(self, machine: Machine, name: str) -> None:
        process = self._processes[machine, name]
        kill(random.choice([pid for pid in process.members() if pid != process.pid]))

    @contextmanager
    def down(self, *machines: Machine) -> Iterator[None]:
        began = time.monotonic()
        yield
        for machine in machines:
            machine.wait_until_it_is_ready()
            self._down.append((machine, began, time.monotonic()))

    def explains(self, fault: Fault) -> bool:
        return any(
            fault.machine is machine and fault.began <= ended and fault.ended >= began
            for machine, began, ended in self._down
        )


VICTIMS: list[Callable[[Fleet, Machine], None]] = [
    Fleet.kill_web,
    Fleet.kill_worker,
    Fleet.kill_machine,
    Fleet.kill_web_worker,
    Fleet.kill_one_of_the_workers,
    Fleet.kill_workers_watchdog,
    Fleet.kill_machine,
]
