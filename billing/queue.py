"""How a payment's work gets to the workers: after the commit, and never in the way of it."""

import logging
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.db import transaction
from django_q.tasks import async_task

from billing import gateways

log = logging.getLogger(__name__)


def after_commit(task: str, *arguments: int) -> None:
    """Hand a task to the workers once the transaction stands.

    The queue only wakes them up: with a dead broker the reconcile job finds the work in the rows.
    """
    transaction.on_commit(partial(_enqueue, task, *arguments), robust=True)


def has_provider_for(amount: Decimal) -> bool:
    """Tell whether readers can pay this sum online, alone."""
    gateway = gateways.online()
    return gateway is not None and amount >= gateway.smallest(settings.CURRENCY)


def _enqueue(task: str, *arguments: int) -> None:
    try:
        async_task(task, *arguments)
    except Exception:
        log.exception("Not queued, left to the reconcile job: %s %s", task, arguments)
