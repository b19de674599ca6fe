"""What must be true of charges: one function per invariant, yielding what is wrong and where."""

from collections.abc import Iterator

from billing.models import Charge


def adjustments_never_exceed_their_charge() -> Iterator[str]:
    for charge in Charge.objects.overdrawn().order_by("pk").iterator():
        yield f"charge {charge.pk}: more is taken off than its {charge.amount}"
