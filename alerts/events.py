"""The kinds of things that people may be told about."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class EventKind(models.TextChoices):
    PAYMENT_COMPLETED = "PAYMENT_COMPLETED", _("Payment completed")
    PAYMENT_NEEDS_REVIEW = "PAYMENT_NEEDS_REVIEW", _("Payment needs review")
