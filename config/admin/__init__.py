"""The admin pages of the project itself and of other packages: roles, the job queue, the jobs."""

from config.admin import jobs, queue, roles, tokens

__all__ = ["jobs", "queue", "roles", "tokens"]
