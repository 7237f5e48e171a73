"""`beta faults`: the fault matrix against fake venues in virtual time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True, help="Break a fake venue on purpose and compare the books after."
)
Fault = Annotated[str, typer.Option("--fault", help="One or several (F8,F9); default all.")]
Seed = Annotated[int | None, typer.Option(help="Repeat the one run with this seed.")]
Runs = Annotated[int, typer.Option(min=1, help="Runs in all, shared out as the matrix says.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Processes.")]
Report = Annotated[Path | None, typer.Option(help="Write the whole result as JSON here.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")]


@app.command("run")
def run_command(
    fault: Fault = "",
    seed: Seed = None,
    runs: Runs = 2_000,
    jobs: Jobs = min(4, os.cpu_count() or 1),
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Run seeded faults; exit 1 when a book differs from the venue's."""
    import json
    from dataclasses import asdict

    from adapters.fake.matrix.cases import CASES
    from adapters.fake.matrix.run import plan_runs
    from core.domain.errors import UsageError

    chosen = [f.strip().upper() for f in fault.split(",") if f.strip()] or list(CASES)
    for code in chosen:
        if code not in CASES:
            raise UsageError("no such fault", code, f"one of {', '.join(CASES)}")
    if seed is not None:
        work, jobs = [(code, seed) for code in chosen], 1
    else:
        work = plan_runs(chosen, runs, 1)
    result = _run(work, jobs, hidden=as_json or seed is not None)
    body: dict[str, Any] = {"failed": result.failed, **asdict(result)}
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(body, indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(body))
    else:
        _show(body, {c.code: c.title for c in CASES.values()})
    if result.failed:
        raise typer.Exit(1)


def _run(work: list[tuple[str, int]], jobs: int, hidden: bool) -> Any:
    """Run under a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    from adapters.fake.matrix.run import run_matrix

    with Progress(console=Console(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task("faults", total=len(work))

        def tick(done: int, failed: int) -> None:
            bar.update(task, completed=done, description=f"faults, {failed} failed")

        return run_matrix(work, jobs, tick)


@app.command("list")
def list_command() -> None:
    """Name the faults, their venues and their share of a full pass."""
    from adapters.fake.matrix.cases import CASES

    for case in CASES.values():
        typer.echo(f"{case.code:5} {case.title:40} {', '.join(case.venues):20} {case.share}")


def _show(body: dict[str, Any], titles: dict[str, str]) -> None:
    """Print one line a fault, then the failures with the command that repeats each."""
    for code, row in body["by_fault"].items():
        word = "ok" if not row["failed"] else f"{row['failed']} FAILED"
        typer.echo(
            f"{code:5} {titles[code]:40} {row['runs']:6} runs  {row['fired']:6} hits  {word}"
        )
    typer.echo(
        f"{body['runs']} runs, {body['orders']} orders, {body['executions']} executions, "
        f"{body['failed']} failed, {body['seconds']:.0f} s"
    )
    for failure in body["failures"][:20]:
        typer.echo(f"\n{failure['fault']} seed {failure['seed']} on {failure['venue']}")
        for invariant, text in failure["broken"][:5]:
            typer.echo(f"  {invariant}: {text}")
        typer.echo(f"  again: {failure['command']}")
