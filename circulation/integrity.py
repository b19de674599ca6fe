"""What must be true of loans, holds, readers and fines: one function per invariant.

Each is one statement, so that it sees one moment of a busy desk, and yields what is wrong and
where, by barcode and record number: nothing here names a person.
"""

from collections.abc import Iterator

from django.db.models import (
    Count,
    Exists,
    F,
    Max,
    Min,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Coalesce, Lower, Round

from billing.models import MONEY, NOTHING, Adjustment, AdjustmentKind, Charge, ChargeKind
from catalog.models import Copy, CopyStatus
from catalog.text import fold
from circulation.models import Hold, Loan, Reader

GONE = (CopyStatus.LOST, CopyStatus.WITHDRAWN)


def copies_on_loan_have_an_open_loan() -> Iterator[str]:
    loans = Loan.objects.open().filter(copy=OuterRef("pk"))
    for copy in Copy.objects.filter(~Exists(loans), status=CopyStatus.ON_LOAN).iterator():
        yield f"copy {copy.barcode}"


def copies_of_open_loans_are_on_loan() -> Iterator[str]:
    loans = Loan.objects.open().exclude(copy__status=CopyStatus.ON_LOAN)
    yield from _loans_with_status(loans)


def copies_on_the_hold_shelf_have_a_ready_hold() -> Iterator[str]:
    holds = Hold.objects.ready().filter(copy=OuterRef("pk"))
    for copy in Copy.objects.filter(~Exists(holds), status=CopyStatus.ON_HOLD_SHELF).iterator():
        yield f"copy {copy.barcode}"


def copies_of_ready_holds_are_on_the_hold_shelf() -> Iterator[str]:
    holds = Hold.objects.ready().exclude(copy__status=CopyStatus.ON_HOLD_SHELF)
    for hold in holds.select_related("copy").iterator():
        assert hold.copy is not None  # noqa: S101 - a check constraint says so
        yield f"hold {hold.pk}: copy {hold.copy.barcode} is {hold.copy.status}"


def copies_of_ready_holds_are_of_the_book() -> Iterator[str]:
    holds = Hold.objects.ready().exclude(copy__book=F("book"))
    for hold in holds.select_related("copy").iterator():
        assert hold.copy is not None  # noqa: S101 - a check constraint says so
        yield f"hold {hold.pk}: copy {hold.copy.barcode} is of book {hold.copy.book_id}"


def copies_that_readers_lost_are_out_of_circulation() -> Iterator[str]:
    loans = Loan.objects.unreturned().filter(lost_date__isnull=False)
    yield from _loans_with_status(loans.exclude(copy__status__in=GONE))


def _loans_with_status(loans: QuerySet[Loan]) -> Iterator[str]:
    for loan in loans.select_related("copy").iterator():
        yield f"loan {loan.pk}: copy {loan.copy.barcode} is {loan.copy.status}"


def a_copy_has_one_unreturned_loan() -> Iterator[str]:
    for row in _repeated(Loan.objects.unreturned(), "copy__barcode"):
        yield f"copy {row['copy__barcode']}: {row['count']} loans, {row['first']} to {row['last']}"


def a_copy_has_one_ready_hold() -> Iterator[str]:
    for row in _repeated(Hold.objects.ready(), "copy__barcode"):
        yield f"copy {row['copy__barcode']}: {row['count']} holds, {row['first']} to {row['last']}"


def a_reader_has_one_active_hold_on_a_book() -> Iterator[str]:
    for row in _repeated(Hold.objects.active(), "reader", "book"):
        yield f"book {row['book']}: {row['count']} holds, {row['first']} to {row['last']}"


def an_email_has_one_reader() -> Iterator[str]:
    folded = Reader.objects.filter(email__isnull=False).annotate(folded=Lower("email"))
    for row in _repeated(folded, "folded"):
        yield f"readers {row['first']} and {row['last']}"


def _repeated(rows: QuerySet[Model], *key: str) -> Iterator[dict[str, object]]:
    """Yield each value of `key` that several rows have, with their number, first and last id."""
    groups = rows.order_by().values(*key)
    numbered = groups.annotate(count=Count("pk"), first=Min("pk"), last=Max("pk"))
    yield from numbered.filter(count__gt=1).iterator()


def cards_and_barcodes_share_no_number() -> Iterator[str]:
    readers = Reader.objects.filter(card_number=OuterRef("barcode")).values("pk")
    shared = Copy.objects.filter(barcode__in=Reader.objects.values("card_number"))
    for copy in shared.annotate(reader_id=Subquery(readers)).iterator():
        yield f"copy {copy.barcode}: the card of reader {copy.reader_id}"


def names_to_search_by_are_current() -> Iterator[str]:
    readers = Reader.objects.only("first_name", "last_name", "search_name").order_by()
    for reader in readers.iterator():
        if reader.search_name != fold(f"{reader.last_name} {reader.first_name}")[:310]:
            yield f"reader {reader.pk}"


def fines_stay_within_the_cap_of_their_loan() -> Iterator[str]:
    """Imported fines are what another system charged, so they are left out."""
    voided = (
        Adjustment.objects.filter(charge=OuterRef("pk"), kind=AdjustmentKind.VOIDED)
        .order_by()
        .values("charge")
        .values(total=Sum("amount"))
    )
    fines = Charge.objects.filter(kind=ChargeKind.FINE, import_run__isnull=True, loan__isnull=False)
    loans = (
        fines.annotate(net=F("amount") - Coalesce(Subquery(voided, output_field=MONEY), NOTHING))
        .order_by()
        .values("loan", "loan__fine_cap")
        .annotate(total=Round(Sum("net"), 2, output_field=MONEY))
        .filter(total__gt=F("loan__fine_cap"))
    )
    for row in loans.iterator():
        yield f"loan {row['loan']}: {row['total']:.2f} of at most {row['loan__fine_cap']}"


def only_fines_of_open_loans_grow() -> Iterator[str]:
    over = Q(loan__actual_return_date__isnull=False) | Q(loan__lost_date__isnull=False)
    other = ~Q(due_date=F("loan__expected_return_date"))
    for charge in Charge.objects.filter(over | other, is_accruing=True).iterator():
        yield f"loan {charge.loan_id}: charge {charge.pk}"


def charges_are_owed_by_the_reader_of_their_loan() -> Iterator[str]:
    for charge in Charge.objects.exclude(loan=None).exclude(reader=F("loan__reader")).iterator():
        yield f"loan {charge.loan_id}: charge {charge.pk}"


def undone_loans_are_over_and_owe_nothing() -> Iterator[str]:
    owing = Charge.objects.open().filter(loan=OuterRef("pk"))
    undone = Loan.objects.filter(undone_at__isnull=False)
    for loan in undone.filter(Q(actual_return_date=None) | Exists(owing)).iterator():
        yield f"loan {loan.pk}"


def only_lost_loans_owe_a_replacement() -> Iterator[str]:
    replaced = Charge.objects.open().filter(kind=ChargeKind.LOST, loan__isnull=False)
    back = Q(loan__lost_date=None) | Q(loan__actual_return_date__isnull=False)
    for charge in replaced.filter(back).iterator():
        yield f"loan {charge.loan_id}: charge {charge.pk}"
