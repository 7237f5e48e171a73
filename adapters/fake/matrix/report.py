"""What a pass of the matrix found, for a person: counts, seeds, the commits that ran, every failure with its command."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from adapters.fake.matrix.run import MatrixReport

#: What each invariant says, and whether breaking it costs money at once.
INVARIANTS = {
    "RUN": "the run itself ended with an error",
    "I1": "an order is lost",
    "I2": "an order or a fill is there twice",
    "I3": "a position or cash differs",
    "I4": "an order without approval or intent",
    "I5": "a limit or a reservation is broken",
    "I6": "the ledger is broken or lacks a row",
    "I7": "a secret was written",
    "I8": "an order left or works after a halt",
    "I9": "a fault does not show",
    "BOOK": "a shown book is not the venue's",
    "F25": "a second writer was let in",
    "F26": "memory or a queue grows",
    "F27": "an order works after the stop",
}
UNKNOWN = "not noted"


def commit() -> str:
    """Return the commit of this checkout, marked when files differ from it; without one, the version."""
    root = Path(__file__).parents[3]
    try:
        head, changed = (
            subprocess.run(
                ["git", "-C", str(root), *words],
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            ).stdout.strip()
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "-uno"])
        )
    except (OSError, subprocess.SubprocessError):
        try:
            return version("beta-trader")
        except PackageNotFoundError:
            return UNKNOWN
    return f"{head} with changed files" if changed else head


def lines(report: MatrixReport, titles: Mapping[str, str]) -> Iterator[str]:
    """Yield one line a fault, then the failures with the command that repeats each."""
    for code in sorted(report.by_fault, key=list(titles).index):
        row = report.by_fault[code]
        word = "ok" if not row["failed"] else f"{row['failed']} FAILED"
        yield f"{code:6} {titles[code]:48} {row['runs']:6} runs  {row['fired']:6} hits  {word}"
    broken = report.by_invariant
    others = sum(n for i, n in broken.items() if i not in ("I1", "I2", "I3", "I5", "RUN"))
    yield (
        f"lost {broken.get('I1', 0) + broken.get('RUN', 0)}, duplicates {broken.get('I2', 0)}, "
        f"position and cash {broken.get('I3', 0)}, limits {broken.get('I5', 0)}, others {others}"
    )
    yield (
        f"{report.runs} runs, {report.orders} orders, {report.executions} executions, "
        f"{report.failed} failed, {report.seconds:.0f} s, {report.cpu_s:.0f} CPU s"
    )
    for failure in report.failures[:20]:
        yield f"\n{failure['fault']} seed {failure['seed']} on {failure['venue']}"
        for invariant, text in failure["broken"][:5]:
            yield f"  {invariant}: {text}"
        yield f"  again: {failure['command']}"


def markdown(report: MatrixReport, titles: Mapping[str, str], planned: int) -> Iterator[str]:
    """Yield the lines of a page about a pass of which `planned` runs were wanted."""
    yield "# Fault runs"
    yield ""
    verdict = f"**{report.failed} failed**" if report.failed else "none failed"
    yield f"{report.runs:,} of {planned:,} planned runs were made, {verdict}."
    yield (
        f"The strategies sent {report.orders:,} orders and the venues made {report.executions:,} fills, while "
        f"{report.fired:,} things went wrong on purpose."
    )
    yield f"It took {report.cpu_s / 60:.0f} CPU minutes."
    yield ""
    yield "| Commit | Runs |"
    yield "|---|---|"
    for name, runs in sorted(report.commits.items(), key=lambda item: -item[1]):
        yield f"| {name or UNKNOWN} | {runs:,} |"
    yield ""
    yield "## By fault"
    yield ""
    yield "Hits are how often something was really done to a run. A run is decided by its fault and seed."
    yield ""
    yield "| Fault | | Runs | Seeds | Hits | Failed |"
    yield "|---|---|---|---|---|---|"
    for code in sorted(report.by_fault, key=list(titles).index):
        row = report.by_fault[code]
        seeds = f"{row['first_seed']} to {row['last_seed']}"
        yield (
            f"| {code} | {titles[code]} | {row['runs']:,} | {seeds} | {row['fired']:,} | {row['failed']} |"
        )
    yield ""
    yield "## By invariant"
    yield ""
    yield "| Invariant | What it would mean | Differences |"
    yield "|---|---|---|"
    for name, words in INVARIANTS.items():
        yield f"| {name} | {words} | {report.by_invariant.get(name, 0)} |"
    yield ""
    yield from _failures(report)


def _failures(report: MatrixReport) -> Iterator[str]:
    yield "## Failures"
    yield ""
    if not report.failures:
        yield "None."
        return
    if report.failed > len(report.failures):
        yield f"The first {len(report.failures)} of {report.failed}:"
        yield ""
    for failure in report.failures:
        at = failure.get("commit") or UNKNOWN
        yield f"### {failure['fault']} seed {failure['seed']} on {failure['venue']} (commit {at})"
        yield ""
        for invariant, text in failure["broken"][:8]:
            yield f"- {invariant}: {text}"
        yield ""
        yield "```text"
        yield failure["command"]
        yield "```"
        yield ""
