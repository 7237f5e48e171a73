"""What `beta parity` does: find the run, compare, print."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import typer

from console.terminal.text import printable
from core.domain.clock import iso_from_ns
from core.domain.errors import ExitCode, MissingData
from core.engine.parity import ParityReport, check_parity

#: Differences printed; all of them are in ``--json``.
SHOWN = 40
#: Where a run id is looked for below the current folder.
PLACES = ("recordings", "*/recordings", "*/*/recordings", "*/*/*/recordings")


def run_parity(
    run: str,
    *,
    home: Path | None,
    latency_ms: float | None,
    window_ms: float,
    strict: bool,
    as_json: bool,
) -> None:
    """Compare and print; exit 8 when anything differs under `strict`."""
    folder, run_id = locate(run, home)
    report = check_parity(folder, run_id, latency_ms=latency_ms, window_ms=window_ms)
    if as_json:
        print(json.dumps(report.to_json()))
    else:
        show(report)
    if strict and not report.equal:
        raise typer.Exit(int(ExitCode.LEDGER))


def locate(run: str, home: Path | None, base: Path = Path()) -> tuple[Path, str]:
    """Return home folder and run id of what the user named.

    Raises
    ------
    MissingData
        If no recording of that name is found.
    """
    if home is not None:
        return home, run
    if (Path(run) / "ledger").is_dir():
        return Path(run), ""
    for place in PLACES:
        for found in sorted(base.glob(f"{place}/{run}*")):
            if found.name in (run, f"{run}.parts"):
                return found.parent.parent, run
    raise MissingData(
        "no recorded run of a node here (backtests have none)",
        run,
        "beta paper, then beta parity RUN, or beta parity RUN --home FOLDER",
    )


def show(report: ParityReport) -> None:
    """Print a report for a reader."""
    kind = "synthetic feed" if report.synthetic else "real feed"
    print(f"{report.run_id}  {report.mode} on {report.venue} ({kind})")
    print(f"{'':<22}{'recorded':>12}{'replayed':>12}")
    for name, pair in (
        ("orders", report.orders),
        ("fills", report.fills),
        ("fees, dollars", report.fees),
        ("refused by the gate", tuple(sum(r.values()) for r in report.refusals)),
        ("settlements", report.settlements),
    ):
        print(f"{name:<22}{pair[0]!s:>12}{pair[1]!s:>12}")
    median, largest = report.latencies_ms
    print(
        f"latency {report.latency_ms:.1f} ms (the run: median {median:.1f}, largest {largest:.1f}); "
        f"decisions at most {report.decision_shift_ms:.1f} ms apart"
    )
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    if report.equal:
        print("no order, fill, fee or settlement differs")
        return
    print(f"{len(report.differences)} difference(s):")
    for reason, count in Counter(d.reason.value for d in report.differences).most_common():
        print(f"  {count:>5}  {reason}")
    for one in report.differences[:SHOWN]:
        when = iso_from_ns(one.ts_ns) if one.ts_ns else ""
        said = f"{when} {one.what} {one.instrument_id}: {one.reason.value} {one.detail}"
        print(printable(said.rstrip()))
        print(printable(f"    recorded  {one.recorded or 'nothing'}"))
        print(printable(f"    replayed  {one.replayed or 'nothing'}"))
    if len(report.differences) > SHOWN:
        print(f"... {len(report.differences) - SHOWN} more with --json")
