"""The reader's page: its tabs, who may open each, and what stands at the head of all of them.

A tab is an address of its own, so that none asks for what another shows, and each can be linked to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from alerts.backoffice.pages import badge
from alerts.counts import number_of
from alerts.wording import money
from billing.models import MONEY, Charge
from circulation import blocks, personal_data
from circulation.models import Hold, HoldStatus, Loan, Reader
from circulation.refusals import Block

VIEW_READER = "circulation.view_reader"
VIEW_LOAN = "circulation.view_loan"
MONEY_PERMISSIONS = ("billing.view_charge", "billing.view_payment")
BLOCK_PERMISSIONS = (
    "circulation.check_out",
    "circulation.change_reader",
    "circulation.view_override",
)


@dataclass(frozen=True)
class Tab:
    """One tab; `all_of` and `any_of` are the permissions that open it, `note` is beside its name.

    `note` is made of a reader who comes with what `with_standing` adds.
    """

    code: str
    title: Any
    url_name: str
    all_of: Sequence[str] = (VIEW_READER,)
    any_of: Sequence[str] = ()
    note: Callable[[Any], str] = lambda _reader: ""

    def is_open_to(self, user: Any) -> bool:
        return user.has_perms(self.all_of) and (
            not self.any_of or any(user.has_perm(permission) for permission in self.any_of)
        )

    def url(self, reader: Reader) -> str:
        return reverse(self.url_name, args=[reader.pk])


def _loans_note(reader: Any) -> str:
    if not reader.late:
        return str(reader.out or "")
    late = ngettext("%(late)d overdue", "%(late)d overdue", reader.late) % {"late": reader.late}
    return f"{reader.out} · {late}"


def _holds_note(reader: Any) -> str:
    if not reader.ready:
        return str(reader.held or "")
    ready = ngettext("%(ready)d ready", "%(ready)d ready", reader.ready) % {"ready": reader.ready}
    return f"{reader.held} · {ready}"


def _account_note(reader: Any) -> str:
    return money(round(reader.owed, 2)) if reader.owed > 0 else ""


TABS = (
    Tab(
        "loans",
        gettext_lazy("Loans now"),
        "admin:circulation_reader_loans",
        all_of=(VIEW_READER, VIEW_LOAN),
        note=_loans_note,
    ),
    Tab(
        "past",
        gettext_lazy("Past loans"),
        "admin:circulation_reader_past",
        all_of=(VIEW_READER, VIEW_LOAN),
    ),
    Tab(
        "holds",
        gettext_lazy("Holds"),
        "admin:circulation_reader_holds",
        all_of=(VIEW_READER, "circulation.view_hold"),
        note=_holds_note,
    ),
    Tab(
        "account",
        gettext_lazy("Account"),
        "billing-account",
        all_of=(),
        any_of=MONEY_PERMISSIONS,
        note=_account_note,
    ),
    Tab(
        "notices",
        gettext_lazy("Notices"),
        "admin:circulation_reader_notices",
        any_of=("alerts.view_delivery", personal_data.SEE),
    ),
    Tab(
        "blocks",
        gettext_lazy("Blocks"),
        "admin:circulation_reader_blocks",
        any_of=BLOCK_PERMISSIONS,
    ),
    Tab("details", gettext_lazy("Details"), "admin:circulation_reader_change"),
)
BY_CODE = {tab.code: tab for tab in TABS}


@dataclass(frozen=True)
class ShownTab:
    title: Any
    url: str
    note: str
    is_active: bool


@dataclass(frozen=True)
class Head:
    """What is above every tab; `reader` comes with what `with_standing` adds."""

    reader: Any
    state: SafeString
    is_expired: bool
    blocks: Sequence[Block]
    tabs: Sequence[ShownTab]
    desk_url: str


def frame(request: HttpRequest, reader: Any, *, active: str) -> dict[str, Any]:
    """Return what the template of a tab needs to know of the page that the tab is on."""
    context: dict[str, Any] = {"head": head(request, reader, active=active)}
    if request.user.has_perm(VIEW_READER):
        context |= {"opts": Reader._meta, "original": reader}  # the path above the page
    return context


def head(request: HttpRequest, reader: Any, *, active: str) -> Head:
    """Return the head of a reader who comes with what `with_standing` adds; asks nothing more."""
    today = timezone.localdate()
    is_at_desk = request.user.has_perm(blocks.LENDING_PERMISSION)
    return Head(
        reader=reader,
        state=state_badge(reader, on=today),
        is_expired=reader.is_expired(on=today),
        blocks=against(request, blocks.against_reader(reader, on=today)),
        tabs=[
            ShownTab(tab.title, tab.url(reader), tab.note(reader), tab.code == active)
            for tab in TABS
            if tab.is_open_to(request.user)
        ],
        desk_url=f"{reverse('desk')}?reader={reader.pk}" if is_at_desk else "",
    )


def against(request: HttpRequest, found: Sequence[Block]) -> list[Block]:
    """Return what stands against a reader, as far as the user may know why."""
    if personal_data.may_see(request):
        return list(found)
    unexplained = Block("reader_blocked", _("The reader is blocked."), is_overridable=True)
    return [unexplained if block.code == unexplained.code else block for block in found]


def found(pk: int, *, on: date) -> Any:
    """Return the reader with all that the head shows, in one query; None where there is none."""
    readers = Reader.objects.select_related("category").filter(pk=pk)
    return with_standing(readers, on=on).first()


def with_standing(readers: QuerySet[Reader], *, on: date) -> QuerySet[Reader]:
    """Annotate `out` and `late` loans, `held` and `ready` holds, and `owed`."""
    active = Hold.objects.active()
    return with_loans_and_debt(readers).annotate(
        late=_of_each(Loan.objects.overdue(on=on)),
        held=_of_each(active),
        ready=_of_each(active.filter(status=HoldStatus.READY)),
    )


def with_loans_and_debt(readers: QuerySet[Reader]) -> QuerySet[Reader]:
    """Annotate `out`, the loans that have not come back, and `owed` on all charges."""
    debts = Charge.objects.with_owed().filter(reader=OuterRef("pk")).order_by()
    owed = debts.values("reader").annotate(sum=Sum("owed")).values("sum")
    return readers.annotate(
        out=_of_each(Loan.objects.unreturned()),
        owed=Coalesce(Subquery(owed, output_field=MONEY), Decimal("0.00"), output_field=MONEY),
    )


def _of_each(rows: QuerySet[Any]) -> Coalesce:
    """Return how many of these rows are each reader's."""
    return number_of(rows.filter(reader=OuterRef("pk")), "reader")


def state_badge(reader: Reader, *, on: date) -> SafeString:
    if not reader.is_active:
        return badge(_("switched off"))
    if reader.is_blocked:
        return badge(_("blocked"), "danger")
    if reader.is_expired(on=on):
        return badge(_("expired"), "warning")
    return badge(_("staff"), "info") if reader.is_staff else badge(_("active"), "success")


def reader_link(reader: Reader) -> SafeString:
    """Return a link to the reader's page, with his or her name."""
    return format_html('<a class="text-link" href="{}">{}</a>', reader_url(reader.pk), reader)


def reader_url(pk: int) -> str:
    """Return the address that leads to the first tab that whoever follows it may open."""
    return reverse("admin:circulation_reader_page", args=[pk])
