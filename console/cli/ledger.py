"""`beta ledger`: verify, read, export, back up and restore the record of everything that happened."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.terminal.text import lines

if TYPE_CHECKING:
    from core.ledger.reader import LedgerReader
    from core.ledger.rows import Row
    from core.ledger.selection import Selection
    from core.ledger.verify import Progress, Report

app = typer.Typer(
    help="Verify, tail, show, export, back up and restore the ledger.", no_args_is_help=True
)
Dir = Annotated[
    str,
    typer.Option("--dir", help="Ledger or run folder; default $BETA_LEDGER, then the newest run."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Run = Annotated[str, typer.Option(help="Only rows of this run.")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="Only this kind, e.g. order.* (repeat).")
]
SCHEMA = 1


def ledger_directory(option: str, *, backtests: bool = True) -> Path:
    """Return the ledger folder that a command means.

    A folder may be the ledger itself or a run that holds one in ``ledger/``. Without a word about it the
    newest of the runs here is meant, a backtest's only if `backtests`.
    """
    from core.domain.errors import MissingData
    from core.ledger.anchors import FILE as ANCHORS
    from core.ledger.segment import segments

    chosen = option or os.environ.get("BETA_LEDGER", "")
    if chosen:
        candidates = [Path(chosen), Path(chosen) / "ledger"]
    else:
        runs = [
            *Path("runs").glob("*/ledger"),
            *(Path("runs").glob("backtest/*") if backtests else ()),
        ]
        newest = sorted(runs, key=lambda p: p.stat().st_mtime, reverse=True)
        candidates = [Path("ledger"), *newest]
    for path in candidates:
        if path.is_dir() and (segments(path) or (path / ANCHORS).is_file()):
            return path
    raise MissingData(
        "no ledger found",
        chosen or f"{Path.cwd()}/runs/*/ledger",
        "beta backtest polymarket_arb makes one; --dir FOLDER names another",
    )


@app.command()
def verify(
    directory: Dir = "",
    expect_head: Annotated[str, typer.Option(help="Head hash kept elsewhere.")] = "",
    fast: Annotated[bool, typer.Option("--fast", help="Skip SQLite's page check.")] = False,
    export: Annotated[Path | None, typer.Option(help="Verify an exported file instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute every hash; exit 8 and name the first bad row when something is wrong."""
    import msgspec

    from core.domain.errors import ExitCode
    from core.ledger.verify import verify as run

    if export is not None:
        from core.ledger.export import verify_export

        found = verify_export(export, expect_head=expect_head)
        head = {"head_seq": found.head.seq, "head_hash": found.head.hash.hex()}
        gaps = {"left_out": found.left_out, "first_left_out": found.first_left_out}
        _print({"rows": found.rows, **head, **gaps, "ok": True}, as_json)
        return
    folder = ledger_directory(directory)
    with _progress("verifying", folder) as tick:
        report = run(folder, expect_head=expect_head, structure=not fast, progress=tick)
    plain = {"schema_version": SCHEMA, "ok": report.ok, "directory": str(folder)}
    plain |= msgspec.to_builtins(report) | {"first_bad": msgspec.to_builtins(report.first_bad)}
    if as_json:
        print(json.dumps(plain, indent=1))
    else:
        print("\n".join(_report_lines(report, folder)))
    if not report.ok:
        raise typer.Exit(int(ExitCode.LEDGER))


@app.command()
def tail(
    directory: Dir = "",
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Rows to print.")] = 20,
    run: Run = "",
    kind: Kinds = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as rows are added.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the newest rows, oldest first."""
    import time

    from core.ledger.reader import LedgerReader
    from core.ledger.selection import Selection

    reader = LedgerReader(ledger_directory(directory))
    rows = reader.tail(count, Selection(run=run, kinds=tuple(kind or ())))
    last = 0
    while True:
        for row in rows:
            print(lines(_line(row, as_json)), flush=follow)
            last = row.seq
        if not follow:
            return
        time.sleep(0.5)
        rows = list(reader.rows(Selection(kinds=tuple(kind or ()), first_seq=last + 1)))


@app.command()
def show(
    seq: Annotated[
        str,
        typer.Argument(help="Row number; or fill:N, the N-th fill of the newest run (-1: last)."),
    ],
    directory: Dir = "",
    chain: Annotated[bool, typer.Option("--chain", help="With everything it came from.")] = False,
    effects: Annotated[
        bool, typer.Option("--effects", help="With everything that came from it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print one row; with --chain the way back from a fill to the data that caused it."""
    from core.ledger.export import as_plain
    from core.ledger.reader import LedgerReader

    reader = LedgerReader(ledger_directory(directory))
    start = _row_of(reader, seq)
    found = reader.ancestors(start.seq) if chain else [(0, start)]
    after = reader.descendants(start.seq)[1:] if effects else []
    known = {row.seq for _, row in after}
    after += [(1, row) for row in reader.closings(start.seq) if effects and row.seq not in known]
    if as_json:
        back = [{"generation": -depth, **as_plain(row)} for depth, row in found]
        on = [{"generation": depth, **as_plain(row)} for depth, row in after]
        print(json.dumps({"schema_version": SCHEMA, "rows": back + on}, indent=1))
        return
    for depth, row in found:
        print(lines(_detail(row, "  " * depth + ("<- " if depth else ""))))
    for depth, row in after:
        print(lines(_detail(row, "  " * depth + "-> ")))


@app.command()
def runs(directory: Dir = "", as_json: AsJson = False) -> None:
    """List the runs with how each was sealed."""
    from core.domain.clock import iso_from_ns
    from core.ledger.reader import LedgerReader

    found = LedgerReader(ledger_directory(directory)).runs()
    if as_json:
        print(
            json.dumps({"schema_version": SCHEMA, "runs": [r._asdict() for r in found]}, indent=1)
        )
        return
    for r in found:
        began = iso_from_ns(r.started_ns) if r.first_seq else "..."
        ended = iso_from_ns(r.ended_ns) if r.last_seq else "..."
        print(
            f"{r.run_id}  {r.mode!s:8}  {r.outcome or 'open':17}  rows {r.first_seq or ''}-{r.last_seq or ''}  "
            f"{began} .. {ended}" + (f"  {r.reason}" if r.reason and r.outcome != "ended" else "")
        )


@app.command()
def export(
    out: Annotated[str, typer.Option(help="File to write; - for standard output.")] = "-",
    directory: Dir = "",
    run: Run = "",
    kind: Kinds = None,
    start: Annotated[str, typer.Option(help="From this ISO time on.")] = "",
    end: Annotated[str, typer.Option(help="Before this ISO time.")] = "",
) -> None:
    """Write rows as JSON lines with their hashes; the head goes to standard error as an anchor."""
    from dataclasses import replace

    from core.ledger.export import export as write
    from core.ledger.reader import LedgerReader
    from core.ledger.selection import window

    folder = ledger_directory(directory)
    chosen: Selection = replace(window(start, end, run), kinds=tuple(kind or ()))
    rows = LedgerReader(folder).rows(chosen)
    if out == "-":
        count, head = write(rows, sys.stdout.buffer)
    else:
        partial = Path(out + ".partial")
        with partial.open("wb") as handle:
            count, head = write(rows, handle)
        partial.rename(out)
    print(f"{count} rows, last {head.seq}, hash {head.hash.hex()}", file=sys.stderr)


@app.command()
def backup(
    destination: Annotated[Path, typer.Argument(help="New folder for the copy.")],
    directory: Dir = "",
    as_json: AsJson = False,
) -> None:
    """Copy the ledger, also while it is written, and verify the copy."""
    import msgspec

    from core.ledger.backup import backup as run

    folder = ledger_directory(directory)
    with _progress("backing up", folder) as tick:
        done = run(folder, destination, progress=tick)
    _print({"destination": str(destination), **msgspec.to_builtins(done)}, as_json)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="Folder of a backup.")],
    directory: Annotated[str, typer.Option("--dir", help="Where the ledger shall be.")] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Move a ledger that is there aside.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Verify a backup and bring it back; nothing that is there is deleted."""
    from core.domain.errors import UsageError
    from core.ledger.backup import restore as run

    chosen = directory or os.environ.get("BETA_LEDGER", "")
    if not chosen:
        raise UsageError(
            "a restore needs a folder", "''", "beta ledger restore SOURCE --dir FOLDER"
        )
    with _progress("verifying", source) as tick:
        report = run(source, Path(chosen), replace=replace, progress=tick)
    _print(
        {
            "directory": chosen,
            "rows": report.rows,
            "head_seq": report.head_seq,
            "head_hash": report.head_hash,
            "notes": report.notes,
        },
        as_json,
    )


@app.command()
def rebuild(directory: Dir = "", as_json: AsJson = False) -> None:
    """Fold the whole ledger into its projections again; the result is the same bytes every time."""
    from core.ledger.projections import Projections

    folder = ledger_directory(directory)
    with Projections(folder) as projections, _progress("folding", folder) as tick:
        digest = projections.rebuild(tick)
        counts = {
            name: projections.query(f"SELECT count(*) AS n FROM {name}")[0]["n"]
            for name in ("orders", "fills", "lots", "trades", "positions", "anomalies")
        }
    _print({"file": str(projections.path), "content_sha256": digest, **counts}, as_json)


@app.command()
def table(
    name: Annotated[str, typer.Argument(help="orders, fills, lots, trades, positions, ...")],
    directory: Dir = "",
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Rows to print.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Print a projection (brought up to date first)."""
    from core.domain.errors import UsageError
    from core.ledger.projections import Projections
    from core.ledger.projections.schema import NAMES

    if name not in NAMES:
        raise UsageError("no such table", name, "one of " + ", ".join(NAMES))
    with Projections(ledger_directory(directory)) as projections:
        projections.catch_up()
        rows = projections.query(f"SELECT * FROM {name} LIMIT ?", count)
    if as_json:
        print(json.dumps({"schema_version": SCHEMA, "table": name, "rows": rows}, indent=1))
        return
    for row in rows:
        print("  ".join(f"{key}={value}" for key, value in row.items() if value not in ("", None)))


@app.command()
def quarantine(directory: Dir = "", as_json: AsJson = False) -> None:
    """Set a damaged newest file aside and go on after its last good row; the chain says so."""
    from core.ledger.quarantine import quarantine as run

    done = run(ledger_directory(directory))
    _print(
        {
            "set_aside": str(done.file),
            "first_bad_seq": done.first_bad_seq,
            "good_head_seq": done.good_head.seq,
            "good_head_hash": done.good_head.hash.hex(),
            "runs_quarantined": list(done.runs),
            "new_file": str(done.new_file),
        },
        as_json,
    )


def _row_of(reader: LedgerReader, text: str) -> Row:
    """Return the row that a number, or ``fill:N``, names."""
    from core.domain.errors import UsageError

    named, colon, number = text.rpartition(":")
    try:
        if not colon:
            return reader.row(int(number))
        if named == "fill":
            return reader.nth("order.filled", int(number))
    except ValueError:
        pass
    raise UsageError("not a row of the ledger", text, "give a row number, or fill:1, or fill:-1")


def _report_lines(report: Report, folder: Path) -> list[str]:
    """Return a verification as text."""
    out = [
        f"{folder}: {report.rows:,} rows in {report.files} files, head {report.head_seq} {report.head_hash}"
    ]
    out.append(
        f"anchors met {report.anchors}, files at rest with matching sha256 checked {report.files_at_rest}"
    )
    out += [f"note: {note}" for note in report.notes]
    bad = report.first_bad
    if bad is None:
        return [*out, "ok: every row verifies"]
    for finding in report.findings[:20]:
        row = f"row {finding.seq}" if finding.seq is not None else "file"
        out.append(f"BAD {row}: {finding.code}: {finding.detail} ({finding.file})")
    first = f"row {bad.seq}" if bad.seq is not None else bad.file
    return [
        *out,
        f"first bad: {first}",
        "mend: update beta-trader"
        if {f.code for f in report.findings} == {"newer"}
        else "mend: beta ledger restore BACKUP, or beta ledger quarantine",
    ]


def _line(row: Row, as_json: bool) -> str:
    """Return a row as one line."""
    from core.domain.clock import iso_from_ns
    from core.ledger.export import as_plain

    if as_json:
        return json.dumps(as_plain(row))
    return f"{row.seq:>9}  {iso_from_ns(row.ts_event)}  {row.kind:22}  {row.payload.decode()[:200]}"


def _detail(row: Row, lead: str) -> str:
    """Return a row with its fields."""
    from core.domain.clock import iso_from_ns

    fields: dict[str, Any] = json.loads(row.payload)
    checks = fields.pop("checks", None) or []
    shown = "  ".join(f"{k}={_short(v)}" for k, v in fields.items() if v not in ("", None, [], {}))
    from_rows = f" from {list(row.parent_seqs)}" if row.parent_seqs else ""
    lines = [f"{lead}{row.seq} {row.kind} {iso_from_ns(row.ts_event)}{from_rows}"]
    gap = " " * (len(lead) + 2)
    lines.append(gap + shown)
    lines += [
        f"{gap}{'ok' if c['passed'] else 'NO':3}{c['name']} {c['value']} (limit {c['limit']})"
        for c in checks
    ]
    return "\n".join(lines)


def _short(value: Any) -> Any:
    """Return a value as it fits a line: a long list is counted (`--json` has it whole)."""
    return f"{len(value):,} entries" if isinstance(value, list) and len(value) > 12 else value


def _print(values: dict[str, Any], as_json: bool) -> None:
    """Print a small result."""
    if as_json:
        print(json.dumps({"schema_version": SCHEMA, **values}, indent=1))
        return
    for key, value in values.items():
        if key not in ("schema_version", "files"):
            print(f"{key}: {value}")


@contextmanager
def _progress(what: str, folder: Path) -> Iterator[Progress | None]:
    """Show rows done and rate on a terminal; say nothing otherwise."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from core.ledger.reader import LedgerReader

    try:
        total = LedgerReader(folder).head().seq
    except (
        Exception
    ):  # a damaged ledger has no head to show; the command itself will name the damage
        total = 0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total or None)
        yield lambda done: bar.update(task, completed=done)
