"""Rows whose history shows what was there before, those among them that came without any."""

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

AS_BEFORE = gettext_lazy("As it was before")


class Remembered(models.Model):
    """A row with `history` that an import may have written: of new rows it keeps none, by number.

    So the first change writes the first entry as well.
    """

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            keep_before(type(self), [self.pk])
        super().save(*args, **kwargs)


def keep_before(model: type[models.Model], keys: Iterable[int]) -> None:
    """Give the rows that have no history yet a first entry: as they are now, before a change."""
    history: Any = model.history  # type: ignore[attr-defined]
    key = model._meta.pk.attname
    missing = set(keys)
    missing -= set(history.filter(**{f"{key}__in": missing}).values_list(key, flat=True))
    if not missing:
        return
    names = [field.attname for field in history.model.tracked_fields]
    entry = {
        "history_type": "+",
        "history_date": timezone.now(),
        "history_change_reason": AS_BEFORE,
    }
    history.bulk_create(
        history.model(**{name: getattr(row, name) for name in names}, **entry)
        for row in model._base_manager.filter(pk__in=missing)
    )
