"""What the project itself keeps: the runs of its recurring jobs."""

from datetime import timedelta

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

LONGEST_NOTE = 500


class JobRun(models.Model):
    """One run of a recurring job; without `finished_at` it is under way, or was killed.

    The queue keeps what failed and nothing else: keeping its successes costs most of its speed.
    """

    name = models.CharField(_("job"), max_length=100)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    result = models.CharField(_("result"), max_length=LONGEST_NOTE, blank=True)
    error = models.CharField(_("why it failed"), max_length=LONGEST_NOTE, blank=True)

    class Meta:
        verbose_name = _("run of a job")
        verbose_name_plural = _("runs of jobs")
        ordering = ("-id",)
        permissions = (("run_job", _("Can run jobs now")),)
        indexes = (models.Index(fields=("name", "id"), name="jobrun_by_name"),)

    def __str__(self) -> str:
        return self.name

    @property
    def took(self) -> timedelta | None:
        return self.finished_at - self.started_at if self.finished_at else None
