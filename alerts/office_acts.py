"""What is done in the back-office and leaves no trace in the history of any row."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import DEFAULT_DB_ALIAS, models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

LONGEST_LINE = 200
LONGEST_VALUE = 4000


class OfficeAct(models.Model):
    """One such act: rights given, a job started by hand, a list exported. Never changed.

    `subject` names the row it is about, as `auth.group:3`; `about` is its name at that time.
    """

    at = models.DateTimeField(_("when"), default=timezone.now, db_index=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("who"),
    )
    doer = models.CharField(_("name at that time"), max_length=LONGEST_LINE, blank=True)
    what = models.CharField(_("what"), max_length=LONGEST_LINE)
    about = models.CharField(_("about"), max_length=LONGEST_LINE, blank=True)
    subject = models.CharField(_("row"), max_length=LONGEST_LINE, blank=True)
    before = models.TextField(_("before"), blank=True)
    after = models.TextField(_("after"), blank=True)

    class Meta:
        verbose_name = _("act in the back-office")
        verbose_name_plural = _("acts in the back-office")
        ordering = ("-id",)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.what


def record(
    what: Any,
    row: models.Model | None = None,
    *,
    by: Any,
    about: Any = "",
    before: str = "",
    after: str = "",
    using: str = DEFAULT_DB_ALIAS,
) -> OfficeAct:
    """Keep what `by` did to a row; None and nobody signed in are the site itself."""
    person = None if by is None or isinstance(by, AnonymousUser) else by
    return OfficeAct.objects.using(using).create(
        by=person,
        doer=str(person or "")[:LONGEST_LINE],
        what=str(what)[:LONGEST_LINE],
        about=str(about or row or "")[:LONGEST_LINE],
        subject=f"{row._meta.label_lower}:{row.pk}" if row is not None else "",
        before=before[:LONGEST_VALUE],
        after=after[:LONGEST_VALUE],
    )
