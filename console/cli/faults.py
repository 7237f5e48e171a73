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
Report = Annotated[
    Path | None,
    typer.Option(help="Write the whole result as JSON here, and as a page (.md) beside it."),
]
Resume = Annotated[
    Path | None, typer.Option(help="File of finished runs: they count and are not run again.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")]


@app.command("run")
def run_command(
    fault: Fault = "",
    seed: Seed = None,
    runs: Runs = 2_000,
    jobs: Jobs = min(4, os.cpu_count() or 1),
    report: Report = None,
    resume: Resume = None,
    as_json: AsJson = False,
) -> None:
    """Run seeded faults; exit 1 when a book differs from the venue's."""
    import json
    from dataclasses import asdict

    from adapters.fake.matrix.cases import CASES
    from adapters.fake.matrix.report import lines, markdown
    from adapters.fake.matrix.run import plan_runs
    from core.domain.errors import UsageError

    chosen = [f.strip().upper() for f in fault.split(",") if f.strip()] or list(CASES)
    for code in chosen:
        if code not in CASES:
            raise UsageError("no such fault", code, f"one of {', '.join(CASES)}")
    if any("POLYMARKET" in CASES[code].venues for code in chosen):
        from adapters.polymarket.eip712 import keccak256

        keccak256(b"")  # says now what to install, not as a lost order of every run
    if seed is not None:
        work, jobs = [(code, seed) for code in chosen], 1
    else:
        work = plan_runs(chosen, runs, 1)
    result = _run(work, jobs, resume, hidden=as_json or seed is not None)
    body: dict[str, Any] = {"failed": result.failed, "planned": len(work), **asdict(result)}
    titles = {c.code: c.title for c in CASES.values()}
    if report is not None:
        _write(report, body, "\n".join(markdown(result, titles, len(work))))
    typer.echo(json.dumps(body) if as_json else "\n".join(lines(result, titles)))
    if result.failed:
        raise typer.Exit(1)


def _run(work: list[tuple[str, int]], jobs: int, resume: Path | None, hidden: bool) -> Any:
    """Run under a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    from adapters.fake.matrix.report import commit
    from adapters.fake.matrix.run import run_matrix

    with Progress(console=Console(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task("faults", total=len(work))

        def tick(done: int, failed: int) -> None:
            bar.update(task, completed=done, description=f"faults, {failed} failed")

        return run_matrix(work, jobs, tick, resume, commit())


def _write(report: Path, body: dict[str, Any], page: str) -> None:
    """Write the result for machines and, beside it, for people."""
    import json

    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(body, indent=1) + "\n")
    report.with_suffix(".md").write_text(page.rstrip() + "\n")


@app.command("report")
def report_command(
    journal: Annotated[Path, typer.Argument(help="File of finished runs (of --resume).")],
    out: Annotated[Path | None, typer.Option(help="Write the page here.")] = None,
    planned: Annotated[int, typer.Option(min=0, help="Runs that were wanted; 0 = those made.")] = 0,
) -> None:
    """Write the page about finished runs, also of a pass that still goes on."""
    from adapters.fake.matrix.cases import CASES
    from adapters.fake.matrix.report import markdown
    from adapters.fake.matrix.run import MatrixReport, read_journal
    from core.domain.errors import MissingData

    if not journal.exists():
        raise MissingData("no file of finished runs", str(journal), "beta faults run --resume FILE")
    result = MatrixReport()
    for run in read_journal(journal).values():
        if run.fault in CASES:
            result.add(run)
    titles = {c.code: c.title for c in CASES.values()}
    page = "\n".join(markdown(result, titles, planned or result.runs))
    if out is None:
        typer.echo(page)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page.rstrip() + "\n")
    typer.echo(f"{result.runs} runs, {result.failed} failed: {out}")


@app.command("list")
def list_command() -> None:
    """Name the faults, their venues and their share of a full pass."""
    from adapters.fake.matrix.cases import CASES

    for case in CASES.values():
        typer.echo(f"{case.code:5} {case.title:40} {', '.join(case.venues):20} {case.share}")
