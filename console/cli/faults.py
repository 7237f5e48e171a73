"""`beta faults`: the fault matrix against fake venues in virtual time."""

from __future__ import annotations

import os
from collections.abc import Iterator
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
    Path | None, typer.Option(help="Write the whole result as JSON here, and as text beside it.")
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
    body: dict[str, Any] = {"failed": result.failed, **asdict(result)}
    text = "\n".join(_lines(body, {c.code: c.title for c in CASES.values()}))
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(body, indent=1) + "\n")
        report.with_suffix(".txt").write_text(text + "\n")
    typer.echo(json.dumps(body) if as_json else text)
    if result.failed:
        raise typer.Exit(1)


def _run(work: list[tuple[str, int]], jobs: int, resume: Path | None, hidden: bool) -> Any:
    """Run under a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    from adapters.fake.matrix.run import run_matrix

    with Progress(console=Console(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task("faults", total=len(work))

        def tick(done: int, failed: int) -> None:
            bar.update(task, completed=done, description=f"faults, {failed} failed")

        return run_matrix(work, jobs, tick, resume)


@app.command("list")
def list_command() -> None:
    """Name the faults, their venues and their share of a full pass."""
    from adapters.fake.matrix.cases import CASES

    for case in CASES.values():
        typer.echo(f"{case.code:5} {case.title:40} {', '.join(case.venues):20} {case.share}")


def _lines(body: dict[str, Any], titles: dict[str, str]) -> Iterator[str]:
    """Yield one line a fault, then the failures with the command that repeats each."""
    for code, row in sorted(body["by_fault"].items(), key=lambda item: list(titles).index(item[0])):
        word = "ok" if not row["failed"] else f"{row['failed']} FAILED"
        yield f"{code:5} {titles[code]:40} {row['runs']:6} runs  {row['fired']:6} hits  {word}"
    broken = body["by_invariant"]
    yield (
        f"lost {broken.get('I1', 0) + broken.get('RUN', 0)}, duplicates {broken.get('I2', 0)}, "
        f"position and cash {broken.get('I3', 0)}, limits {broken.get('I5', 0)}, "
        f"others {sum(n for i, n in broken.items() if i not in ('I1', 'I2', 'I3', 'I5', 'RUN'))}"
    )
    yield (
        f"{body['runs']} runs, {body['orders']} orders, {body['executions']} executions, "
        f"{body['failed']} failed, {body['seconds']:.0f} s, {body['cpu_s']:.0f} CPU s"
    )
    for failure in body["failures"][:20]:
        yield f"\n{failure['fault']} seed {failure['seed']} on {failure['venue']}"
        for invariant, text in failure["broken"][:5]:
            yield f"  {invariant}: {text}"
        yield f"  again: {failure['command']}"
