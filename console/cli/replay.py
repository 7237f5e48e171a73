"""`beta replay`: run a recorded backtest again and prove the same decisions, or name the first row that differs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.terminal.text import inert

if TYPE_CHECKING:
    from core.engine.replay import ReplayReport, ReplayRequest
    from core.ledger.selection import Selection

app = typer.Typer(
    help="Re-run a recorded run and name the first row that differs.", add_completion=False
)
SCHEMA = 1
#: Longest value shown whole.
WIDE = 90


@app.command(
    epilog="Exit codes: 0 every decision is the recorded one, 8 a row differs or decision code read a clock, "
    "the environment, unseeded randomness or the network; 1 no such catalog, 2 no such run."
)
def replay(
    run: Annotated[str, typer.Argument(help="Run id; default: the newest backtest.")] = "",
    directory: Annotated[
        str, typer.Option("--dir", help="Ledger or run folder; default $BETA_LEDGER.")
    ] = "",
    start: Annotated[str, typer.Option("--from", help="Compare rows from this ISO time.")] = "",
    end: Annotated[str, typer.Option("--to", help="Compare rows up to this ISO time.")] = "",
    hour: Annotated[str, typer.Option(help="Compare one UTC hour, e.g. 2026-07-03T14.")] = "",
    manifest: Annotated[
        Path | None, typer.Option(help="JSON list of runs and windows to replay.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Catalog; default: the one the run read.")
    ] = None,
    strategy: Annotated[
        list[Path] | None,
        typer.Option(help="File of a strategy outside the packages, if not the one of the run."),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="What if: another strategy parameter, NAME=VALUE."),
    ] = None,
    limits: Annotated[
        str | None, typer.Option(help="What if: another risk profile or TOML file.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the replay's own ledger in this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    progress: Annotated[bool, typer.Option(help="Show progress on stderr.")] = True,
) -> None:
    """Repeat a run in a process of its own, with another hash seed and no network, and compare every row."""
    from console.terminal.progress import run_progress
    from core.domain.errors import ExitCode, UsageError
    from core.engine.replay import replay as repeat
    from core.engine.strategy_files import module_name

    requests = _requests(run, directory, _chosen(run, start, end, hour, manifest))
    changes = _changes(param, limits)
    files = {module_name(f): str(f.resolve()) for f in strategy or ()}
    if keep is not None and len(requests) > 1:
        raise UsageError("--keep goes with one replay", str(keep), "leave --manifest or --keep out")
    reports = []
    for one in requests:
        request = replace(one, catalog=data, files=files, keep=keep, changes=changes)
        with run_progress(progress) as update:
            reports.append(repeat(request, update))
    if as_json:
        print(
            json.dumps(
                {"schema_version": SCHEMA, "replays": [r.plain() for r in reports]}, indent=1
            )
        )
    else:
        for report in reports:
            _print(report)
    if not all(report.same for report in reports):
        raise typer.Exit(ExitCode.LEDGER)


def _chosen(
    run: str, start: str, end: str, hour: str, manifest: Path | None
) -> tuple[Selection, ...]:
    """Return the rows that are meant."""
    from core.domain.errors import UsageError
    from core.ledger import selection

    if bool(hour) + bool(start or end) + bool(manifest) > 1:
        raise UsageError(
            "choose one of --hour, --from/--to and --manifest",
            hour or start or end,
            "give one of them",
        )
    if manifest is not None:
        return selection.read_manifest(manifest)
    if hour:
        return (selection.hour(hour, run),)
    return (selection.window(start, end, run),)


def _requests(run: str, directory: str, chosen: tuple[Selection, ...]) -> list[ReplayRequest]:
    """Return one request for each selection."""
    from console.cli.ledger import ledger_directory
    from core.engine.replay import ReplayRequest

    folder = ledger_directory(directory)
    return [ReplayRequest(ledger=folder, run_id=one.run or run, selection=one) for one in chosen]


def _changes(param: list[str] | None, limits: str | None) -> dict[str, Any]:
    """Return what the replay changes of the recorded configuration."""
    from core.domain.errors import UsageError

    changes: dict[str, Any] = {}
    for text in param or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError("a parameter is NAME=VALUE", text, "-p size=5")
        changes.setdefault("params", {})[name] = value
    if limits is not None:
        changes["limits"] = limits
    return changes


def _print(report: ReplayReport) -> None:
    """Print one report: a line when all is the same, both rows side by side when it is not."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if report.same:
        note = (
            ""
            if report.complete
            else " (the recorded run was not complete; compared as far as it goes)"
        )
        console.print(f"[green]same[/]  {report.run_id}: {report.rows:,} decision rows agree{note}")
        for cause in report.causes:
            console.print(f"note  {inert(cause)}; every decision is the same all the same")
        return
    console.print(f"[bold red]diverged[/]  {report.run_id}: {report.rows:,} decision rows agree")
    for finding in report.findings:
        console.print(f"finding   {inert(finding)}")
    for cause in report.causes:
        console.print(f"cause     {inert(cause)}")
    if report.error:
        console.print(f"stopped   {inert(report.error)}")
    if report.divergence is not None:
        _print_rows(report, console)
    print("mend: mend what is named above, or record the run anew", file=sys.stderr)


def _print_rows(report: ReplayReport, console: object) -> None:
    from rich.console import Console
    from rich.table import Table

    from core.domain.clock import iso_from_ns

    found = report.divergence
    assert found is not None
    assert isinstance(console, Console)
    side = found.recorded or found.replayed
    at = iso_from_ns(side.ts_event) if side else ""
    recorded = f"recorded (row {found.recorded.seq})" if found.recorded else "recorded: no row"
    replayed = f"replayed (row {found.replayed.seq})" if found.replayed else "replayed: no row"
    console.print(f"first difference: decision {found.position + 1}, {found.field}, {at}")
    table = Table(box=None, pad_edge=False)
    for title in ("", "field", recorded, replayed):
        table.add_column(title, overflow="fold")
    for name, left, right, differs in found.lines():
        left, right = _cut(left, right)
        style = "red" if differs else "dim"
        cells = (inert(name), inert(left), inert(right))
        table.add_row("!" if differs else "", *cells, style=style)
    console.print(table)


def _cut(left: str, right: str) -> tuple[str, str]:
    """Cut two long values to the part around their first difference, or to their beginning."""
    if max(len(left), len(right)) <= WIDE:
        return left, right
    same = next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
        min(len(left), len(right)),
    )
    begin = 0 if left == right else max(0, same - WIDE // 3)

    def part(text: str) -> str:
        end = begin + WIDE
        return ("..." if begin else "") + text[begin:end] + ("..." if end < len(text) else "")

    return part(left), part(right)
