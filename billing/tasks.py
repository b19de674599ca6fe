"""What workers do for payments: each is safe to run twice, late, or beside itself."""

from datetime import date

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from billing import pay_link_mail, payments, reconcile, refunds
from billing.drafts import NothingOwedError
from billing.gateways.base import RejectedError
from billing.models import Payment, Refund


def open_session(payment_id: int) -> str:
    """Open the session of a new charge; what cannot be opened now is left to the reconcile job."""
    payment = Payment.objects.drafts().filter(pk=payment_id, must_open=True).first()
    if payment is None:
        return _("Nothing to open.")
    try:
        opened = reconcile.open_draft(payment)
    except NothingOwedError:
        return _("Nothing to open.")
    except payments.PaymentRefusedError as refused:
        return str(refused)
    return _("Payment %(number)s is open.") % {"number": opened.pk}


def close_session(payment_id: int) -> str:
    """Close a session that was given up. Raises UnreachableError, to be tried again."""
    payment = Payment.objects.filter(pk=payment_id, must_close=True).first()
    if payment is None:
        return _("Nothing to close.")
    try:
        closed = payments.close(payment)
    except RejectedError as refused:
        return str(refused)
    return str(closed.get_status_display())


def send_refund(refund_id: int) -> str:
    """Send money back. Raises UnreachableError, to be tried again."""
    made = Refund.objects.select_related("payment__reader").get(pk=refund_id)
    return str(refunds.send(made).get_status_display())


def send_pay_link(reader_id: int) -> str:
    """Mail a reader the pay link. Raises what the mail server refuses with, to be tried again."""
    reader = get_user_model().objects.get(pk=reader_id)
    return _("Sent.") if pay_link_mail.send(reader) else _("Nothing to send.")


def reconcile_payments(on: date | None = None) -> str:
    """Ask the providers about everything unfinished, whatever the day."""
    return reconcile.run().sentence
