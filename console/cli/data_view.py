"""What `beta data` prints: progress with rows per second, import reports, catalogs, verification."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from adapters.history.report import IngestReport
from console.terminal.text import inert, printable
from core.domain.clock import iso_from_ns
from core.domain.errors import DataError
from core.engine.catalog import Catalog, catalog_names, find_catalog
from core.engine.catalog.retention import Cleaning
from core.engine.catalog.verify import Verification


@contextmanager
def progress_bar(title: str, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yield ``progress(stage, done, total)``; it draws on stderr, and nothing when `quiet` or piped."""
    if quiet or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}  {task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1, rate="")

        def update(stage: str, done: int, total: int) -> None:
            seconds = bar.tasks[0].elapsed or 0.0
            rate = f"{done / seconds:,.0f} rows/s" if seconds > 0 and done else ""
            bar.update(
                task,
                description=f"{title}: {stage}",
                completed=done,
                total=max(total, 1),
                rate=rate,
            )

        yield update


def print_json(value: Any) -> None:
    """Print `value` as JSON on stdout."""
    print(json.dumps(value, indent=1, ensure_ascii=False))


def show_report(report: IngestReport, as_json: bool) -> None:
    """Print an import report."""
    if as_json:
        print_json(report.to_dict())
        return
    out = Console()
    read = ", ".join(f"{name} {rows:,}" for name, rows in report.rows_in.items())
    wrote = ", ".join(f"{kind} {rows:,}" for kind, rows in report.rows_out.items())
    out.print(
        f"[bold]{inert(report.set)}[/bold] -> {inert(report.catalog)}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(f"read    {read}", highlight=False, soft_wrap=True)
    out.print(f"wrote   {wrote}", highlight=False, soft_wrap=True)
    out.print(
        f"markets {report.markets:,} ({report.settled:,} settled, {report.unresolved:,} unresolved), "
        f"{report.seconds:.1f} s, {report.rows_per_s:,} rows/s",
        highlight=False,
        soft_wrap=True,
    )
    if report.checks:
        table = Table("check", "held", "cases", "failed", title="Verified", title_justify="left")
        for check in report.checks:
            mark = "[green]yes[/green]" if check.passed else "[red]NO[/red]"
            table.add_row(check.name, mark, f"{check.checked:,}", f"{check.failed:,}")
        out.print(table)
    if report.issues:
        table = Table("issue", "rows", "fate", "meaning", title="Issues", title_justify="left")
        for code, issue in report.issues.items():
            fate = ", ".join(f"{name} {rows:,}" for name, rows in issue["fate"].items())
            table.add_row(inert(code), f"{issue['rows']:,}", fate, inert(issue["meaning"]))
        out.print(table)
        out.print(f"every row: {report.issues_file}", highlight=False, soft_wrap=True)
    for note in report.notes:
        out.print(f"note: {inert(note)}", highlight=False, soft_wrap=True)


def show_catalogs(as_json: bool) -> None:
    """Print all named catalogs."""
    metas, bad = [], []
    for name in catalog_names():
        try:
            metas.append(find_catalog(name).meta)
        except DataError as exc:
            bad.append(f"{name}: {exc}")
    for told in bad:
        print(printable(told), file=sys.stderr)
    if as_json:
        print_json({"schema_version": 1, "catalogs": [json.loads(m.to_json()) for m in metas]})
        return
    table = Table("catalog", "data", "rows", "from", "to", "source")
    for meta in metas:
        rows = sum(p.rows for p in meta.periods)
        start = min((p.start_ns for p in meta.periods), default=0)
        end = max((p.end_ns for p in meta.periods), default=0)
        kind = "synthetic" if meta.synthetic else "real"
        span = (_day(start), _day(end))
        table.add_row(inert(meta.name), kind, f"{rows:,}", *span, inert(meta.source))
    Console().print(table)
    if not metas and not bad:
        Console(stderr=True).print("no catalogs yet: beta data sample, or beta data ingest")


def show_catalog(catalog: Catalog, limit: int, as_json: bool) -> None:
    """Print one catalog in detail."""
    meta, markets = catalog.meta, catalog.markets()
    if as_json:
        rows = [
            {
                "market_id": m.market_id,
                "venue": m.venue,
                "question": m.question,
                "resolved": m.resolved,
                "instruments": {
                    o.instrument_id: sorted(k.value for k in catalog.kinds(o.instrument_id))
                    for o in m.outcomes
                },
            }
            for m in list(markets.values())[:limit]
        ]
        body = {**json.loads(meta.to_json()), "markets_total": len(markets), "markets": rows}
        print_json(body)
        return
    out = Console()
    kind = "[yellow]synthetic[/yellow]" if meta.synthetic else "real"
    out.print(
        f"[bold]{inert(meta.name)}[/bold] ({kind}) {inert(meta.source)}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(
        f"created {meta.created}, content {meta.content_sha[:16]}", highlight=False, soft_wrap=True
    )
    table = Table("kind", "rows", "instruments", "from", "to")
    for p in meta.periods:
        start, end = iso_from_ns(p.start_ns), iso_from_ns(p.end_ns)
        table.add_row(p.kind.value, f"{p.rows:,}", f"{p.instruments:,}", start, end)
    out.print(table)
    table = Table("market", "venue", "outcome paid", "question")
    for m in list(markets.values())[:limit]:
        paid = str(m.outcomes[0].payout) if m.resolved else "-"
        table.add_row(inert(m.market_id), m.venue, paid, inert(m.question))
    out.print(table)
    if len(markets) > limit:
        out.print(
            f"... {len(markets) - limit:,} more markets (--limit)", highlight=False, soft_wrap=True
        )
    for note in meta.notes:
        out.print(f"note: {inert(note)}", highlight=False, soft_wrap=True)


def show_moment(instrument: str, rows: dict[str, dict[str, Any]], as_json: bool) -> None:
    """Print the newest rows of one instrument."""
    if as_json:
        texts = {
            name: {k: v if isinstance(v, int | str) else str(v) for k, v in row.items()}
            for name, row in rows.items()
        }
        print_json({"schema_version": 1, "instrument": instrument, "rows": texts})
        return
    print(instrument)
    for name, row in rows.items():
        values = "  ".join(f"{k} {v}" for k, v in row.items() if k not in ("time", "ts_ns"))
        print(f"  {name:6} {row['time']}  {values}")


def show_verification(result: Verification, as_json: bool) -> None:
    """Print the findings of a verification, errors first."""
    if as_json:
        print_json(result.to_dict())
        return
    out = Console()
    word = "[green]sound[/green]" if result.passed else "[red]NOT SOUND[/red]"
    said = f"{inert(result.catalog)}: {word}, {result.files:,} files, {result.rows:,} rows"
    out.print(said, highlight=False, soft_wrap=True)
    counts: dict[tuple[str, str], list[Any]] = {}
    for finding in sorted(result.findings, key=lambda f: f.level):
        counts.setdefault((finding.level, finding.code), []).append(finding)
    for (level, code), found in counts.items():
        first = found[0]
        out.print(
            f"{level} {code} x{len(found):,}: {inert(first.subject)}: {inert(first.detail)}",
            highlight=False,
            soft_wrap=True,
        )


def show_cleaning(done: Cleaning, as_json: bool) -> None:
    """Print what a clean-up did."""
    if as_json:
        print_json(done.to_dict())
        return
    verb = "thinned" if done.applied else "would thin at least"
    Console().print(
        f"{done.catalog}: {verb} {done.series:,} instruments, rows {done.rows_before:,} -> "
        f"{done.rows_after:,}, bytes {done.bytes_before:,} -> {done.bytes_after:,} "
        f"(full from {done.hot_from}, minutes from {done.warm_from})",
        highlight=False,
        soft_wrap=True,
    )


def _day(ts_ns: int) -> str:
    return iso_from_ns(ts_ns)[:10]
