"""The table that is printed: each page at each size, the worst of each kind, and what misses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection

from tests.benchmarks.size.jobs import Job
from tests.benchmarks.size.shape import Shape
from tests.benchmarks.size.timing import Taken

GOALS = {"postgresql": 100, "sqlite": 150}
"""In milliseconds, of p95."""
FEW_QUERIES = 5
"""So many more there may be where a small library has nothing to show."""


@dataclass(frozen=True)
class Row:
    """One page, from the smallest library to the largest; a small one may lack what it is of."""

    kind: str
    name: str
    taken: Sequence[Taken | None]

    @property
    def at_most(self) -> Taken:
        assert self.taken[-1] is not None
        return self.taken[-1]

    @property
    def growth(self) -> float:
        """How much more work it is in the largest library than in the smallest."""
        least = self.taken[0] or self.at_most
        return self.at_most.cpu / least.cpu

    @property
    def misses(self) -> bool:
        return self.at_most.p95 > GOALS[connection.vendor]


def show(rows: Sequence[Row], shapes: Sequence[Shape], jobs: Iterable[Job]) -> None:
    sizes = " | ".join(f"p50 at {shape.books:,}" for shape in shapes[:-1])
    print(f"\n| Kind | Page | {sizes} | p50 | p95 | CPU | Queries | Growth | |")
    print("|---|---|" + "---:|" * (len(shapes) + 4) + "---|")
    for row in rows:
        print(_line(row))
    print("\n| Kind | Pages | Worst p95, ms | Median p95, ms | Most queries | Most growth | Miss |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind in dict.fromkeys(row.kind for row in rows):
        print(_summary(kind, [row for row in rows if row.kind == kind]))
    missing = [row for row in rows if row.misses]
    print(f"\n{len(missing)} of {len(rows)} pages miss {GOALS[connection.vendor]} ms:")
    for row in sorted(missing, key=lambda row: -row.at_most.p95):
        print(f"  {row.at_most.p95:8.0f} ms  {row.kind}: {row.name}")
    for row in rows:
        asked = [taken.queries for taken in row.taken if taken]
        if asked[-1] <= asked[0] + FEW_QUERIES:
            continue
        counts = " -> ".join(map(str, asked))
        print(f"  more queries in a larger library: {counts}  {row.name}")
    for job in jobs:
        took = f"{job.seconds:.1f} s; again {job.again:.1f} s"
        print(f"Job: {job.name}, {job.loans:,} overdue: {took}")


def _line(row: Row) -> str:
    most = row.at_most
    smaller = " | ".join(f"{taken.p50:.0f}" if taken else "–" for taken in row.taken[:-1])
    return (
        f"| {row.kind} | {row.name} | {smaller} | {most.p50:.0f} | {most.p95:.0f} | {most.cpu:.0f} "
        f"| {most.queries} | {row.growth:.1f} x | {'**misses**' if row.misses else ''} |"
    )


def _summary(kind: str, rows: Sequence[Row]) -> str:
    waits = sorted(row.at_most.p95 for row in rows)
    queries = max(row.at_most.queries for row in rows)
    growth = max(row.growth for row in rows)
    missing = sum(row.misses for row in rows)
    return (
        f"| {kind} | {len(rows)} | {waits[-1]:.0f} | {waits[len(waits) // 2]:.0f} | {queries} "
        f"| {growth:.1f} x | {missing or ''} |"
    )
