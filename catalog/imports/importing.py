"""One import from beginning to end: read, check, plan, and write in one short transaction."""

import contextlib
import gzip
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from catalog.imports import headers, planning, reading, workbook
from catalog.imports.kinds import Column, Options, UnreadableError
from catalog.imports.loading import Progress, load
from catalog.imports.planning import Kind, Plan, StaleError
from catalog.imports.reading import Survey, Table
from catalog.imports.report import Report, error_rows, pack_error_file, preview_rows
from catalog.imports.staging import ROWS, Stage
from catalog.imports.targets import Target
from catalog.models import ImportRun

if TYPE_CHECKING:
    from circulation.models import Reader

Written = Callable[[ImportRun], None]
TRIES = 3
# Any number that no other part of Carrel uses: imports wait for each other.
IMPORT_LOCK = 7_361_402


class StoppedError(Exception):
    """The import was stopped before anything was written; `report` is what it would do now."""

    def __init__(self, report: Report, message: str) -> None:
        super().__init__(message)
        self.report = report


@dataclass
class _Job:
    """What stays the same through the tries of one import."""

    kind: Kind
    file: BinaryIO
    file_name: str
    seen: Survey
    options: Options
    by: "Reader | None"
    progress: Progress | None
    errors_to: Path | None = None
    written: Written | None = None
    columns: tuple[Column, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.columns = tuple(self.kind.columns(self.options))


def kind_called(name: str) -> Kind:
    """Return the kind of import with this name (settings.IMPORT_KINDS). Raises KeyError."""
    kind: Kind = import_string(settings.IMPORT_KINDS[name])
    return kind


def run(
    kind: str | Kind,
    source: str | Path | BinaryIO,
    *,
    by: "Reader | None" = None,
    dry_run: bool = False,
    options: Options | None = None,
    file_name: str = "",
    errors_to: Path | None = None,
    expect: str = "",
    preview: int = 0,
    progress: Progress | None = None,
    written: Written | None = None,
) -> Report:
    """Import a file, or with `dry_run` only say what that would do.

    `errors_to` receives the wrong rows as CSV, with line, column and reason. With `expect`, a
    report's fingerprint, nothing is written unless the import would still do exactly that.
    `preview` asks for so many rows as examples; `written` is called in the transaction that writes,
    when all is written. Raises UnreadableError for a file that cannot be
    read as a whole, and StoppedError where the library's data changed meanwhile.
    """
    with _opened(source) as file:
        name = file_name or Path(str(getattr(file, "name", ""))).name
        job = _Job(
            kind if isinstance(kind, Kind) else kind_called(kind),
            file,
            name,
            reading.survey(file),
            options or Options(),
            by,
            progress,
            errors_to,
            written,
        )
        for attempt in range(1, TRIES + 1):
            try:
                return _attempt(job, dry_run=dry_run, expect=expect, preview=preview)
            except StaleError as stale:
                if attempt == TRIES or expect:
                    raise StoppedError(Report(kind=job.kind.name), str(stale)) from stale
    raise AssertionError


@contextlib.contextmanager
def _opened(source: str | Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, str | Path):
        yield source
        return
    path = Path(source)
    try:
        file = path.open("rb")
    except OSError as refused:
        raise UnreadableError(
            _("“%(path)s” cannot be opened: %(reason)s.")
            % {"path": source, "reason": refused.strerror}
        ) from refused
    with file:
        yield file


def _attempt(job: _Job, *, dry_run: bool, expect: str, preview: int) -> Report:
    with _table(job) as table:
        layout = headers.match(table.header, job.columns, mapping=job.options.mapping)
        with Stage(job.kind.staged(job.columns), job.kind.planned) as stage:
            stage.warn([*table.warnings, *layout.warnings])
            stage.warn(job.kind.check_layout(layout.present))
            read = load(table, layout, job.kind, stage, progress=job.progress)
            if not read:
                raise UnreadableError(_("The file has a header and no rows."))
            plan = Plan(
                job.kind,
                stage,
                job.options,
                layout.present,
                Target(
                    job.kind.model,
                    "target_id",
                    tuple(job.kind.assigned(layout.present, job.columns)),
                    job.kind.derived,
                ),
            )
            plan.make()
            report = _report(job, plan, table, layout, read=read, preview=preview)
            if dry_run:
                return report
            if expect and expect != report.fingerprint:
                raise StoppedError(report, _("The library's data changed after the preview."))
            if report.wrong and not job.options.skip_invalid:
                report.run_id = _record_refusal(job, report)
                return report
            _write(job, plan, report)
            return report


@contextlib.contextmanager
def _table(job: _Job) -> Iterator[Table]:
    """Open the file as a table; hand its bytes back unclosed."""
    suffix = Path(job.file_name).suffix.lower()
    job.file.seek(0)
    if suffix in workbook.EXTENSIONS:
        with workbook.opened(job.file) as table:
            yield table
        return
    reading.refuse_extension(suffix)
    table, stream = reading.open_text(
        job.file, job.seen, encoding=job.options.encoding, delimiter=job.options.delimiter
    )
    try:
        yield table
    finally:
        stream.detach()


def _report(
    job: _Job, plan: Plan, table: Table, layout: headers.Layout, *, read: int, preview: int
) -> Report:
    stage = plan.stage
    counts: Mapping[str, int] = dict(
        stage.fetch(f"SELECT {job.kind.verdict} AS v, COUNT(*) FROM {ROWS} s GROUP BY 1")
    )
    staged = sum(counts.values())
    report = Report(
        kind=job.kind.name,
        read=read,
        new=counts.get("n", 0),
        changed=counts.get("c", 0),
        unchanged=counts.get("u", 0),
        wrong=counts.get("w", 0) + read - staged,
        skips_invalid=job.options.skip_invalid,
        encoding=table.encoding,
        delimiter=table.delimiter,
        mapping=layout.pairs,
        file_hash=job.seen.sha256,
        warnings=stage.all_warnings(),
    )
    if report.wrong:
        report.errors = error_rows(stage)
        with _table(job) as again:
            report.error_file = pack_error_file(again, stage)
        if job.errors_to is not None:
            job.errors_to.write_bytes(gzip.decompress(report.error_file))
    report.fingerprint = _fingerprint(report, stage)
    if preview:
        report.preview = preview_rows(plan, preview)
    return report


def _fingerprint(report: Report, stage: Stage) -> str:
    """Return what changes whenever the import would do something else."""
    digest = sha256(repr((report.file_hash, report.counts)).encode())
    for row in stage.stream(
        f"SELECT line, action, target_id, before FROM {ROWS} "
        "WHERE action IN ('c', 'w') ORDER BY line"
    ):
        digest.update(repr(row).encode())
    return digest.hexdigest()


def _new_run(job: _Job, report: Report, status: ImportRun.Status) -> ImportRun:
    return ImportRun.objects.create(
        kind=report.kind,
        status=status,
        by=job.by,
        file_name=job.file_name[:255],
        file_hash=report.file_hash,
        options={**job.options.as_dict(), "headers": report.mapping},
        started_at=report.started_at,
        finished_at=timezone.now(),
        rows_read=report.read,
        rows_new=report.new,
        rows_changed=report.changed,
        rows_unchanged=report.unchanged,
        rows_wrong=report.wrong,
        errors=[error.as_list() for error in report.errors],
        warnings=report.warnings,
        message=report.summary(),
        error_file=report.error_file,
    )


def _record_refusal(job: _Job, report: Report) -> int:
    return _new_run(job, report, ImportRun.Status.REFUSED).pk


def _write(job: _Job, plan: Plan, report: Report) -> None:
    """Write the plan in one transaction. Raises StaleError, with nothing written."""
    job.kind.prepare(plan)
    try:
        with transaction.atomic():
            if plan.stage.is_postgres:
                plan.stage.execute("SELECT pg_advisory_xact_lock(%s)", [IMPORT_LOCK])
            planning.lock(plan)
            if planning.is_stale(plan):
                raise StaleError
            run = _new_run(job, report, ImportRun.Status.DONE)
            job.kind.write(
                plan, run_id=run.pk, by_id=job.by.pk if job.by else None, at=timezone.now()
            )
            if job.written is not None:
                job.written(run)
    except IntegrityError as refused:
        # Somebody else has just used the same barcode, ISBN or record number.
        raise StaleError from refused
    report.run_id = run.pk
    job.kind.finish(plan, run_id=run.pk)
