"""The recurring jobs, as `config.jobs` has them."""

from config.documents.tables import row, rule
from config.jobs import JOBS


def table() -> str:
    jobs = (row(f"`{job.name}`", job.rhythm, job.does) for job in JOBS)
    return "\n".join([row("Job", "when", "what it does"), rule(3), *jobs])
