"""Cash at the desk: a gateway without a provider, so that it has nothing to open or look up."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NoReturn

from django.utils.translation import gettext_lazy as _

from billing.gateways.base import (
    Gateway,
    Order,
    ProviderEvent,
    RefundSeen,
    RejectedError,
    Session,
    Snapshot,
    State,
)


class Cash(Gateway):
    name = "CASH"
    label = _("Cash")
    is_online = False

    def missing(self) -> list[str]:
        return []

    def open(self, order: Order) -> Session:
        self._refuse()

    def look_up(self, session_id: str, *, key: str) -> Snapshot:
        self._refuse()

    def close(self, session_id: str, *, key: str) -> Snapshot:
        self._refuse()

    def refund(
        self, transaction_id: str, amount: Decimal, currency: str, *, key: str, reference: str
    ) -> RefundSeen:
        """The money is handed back over the desk: it is done as soon as it is written down."""
        return RefundSeen(id="", amount=amount, state=State.PAID, reference=reference)

    def read_event(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RejectedError("Cash is taken at the desk.")
