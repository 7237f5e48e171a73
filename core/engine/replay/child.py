"""The process that repeats a run: ``python -m core.engine.replay.child``, request on stdin, lines on stdout.

A process of its own, because its hash seed differs from the recorded run's (an order taken from a set
then shows), and because its network is closed for good. Lines are JSON: ``progress``, then one ``done`` or
``failed``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.domain.errors import BetaError, StrategyError

if TYPE_CHECKING:
    from core.engine.replay.recorded import RecordedRun


def main() -> int:
    """Read the request, repeat the run, report."""
    request = json.loads(sys.stdin.read())
    out = sys.stdout
    sys.stdout = sys.stderr  # whatever a strategy prints must not look like our lines

    def say(kind: str, **fields: Any) -> None:
        out.write(json.dumps({"kind": kind, **fields}) + "\n")
        out.flush()

    from core.engine.replay.guard import Guard

    guard = Guard()
    guard.close_network()
    error: dict[str, str] = {}
    try:
        _repeat(request, guard, say)
    except BetaError as exc:
        error = {"what": exc.what, "seen": str(exc.seen), "mend": exc.mend}
    except Exception as exc:
        error = {"what": f"the replay raised {type(exc).__name__}", "seen": str(exc), "mend": ""}
    findings = [str(f) for f in guard.findings.values()]
    say("failed" if error else "done", findings=findings, **error)
    return 0


def _repeat(request: dict[str, Any], guard: Any, say: Any) -> None:
    from core.engine.backtest import run_backtest
    from core.engine.backtest.strategies import plan_strategies
    from core.engine.replay.guard import deciding_modules
    from core.engine.replay.recorded import catalog_for, recorded_run, spec_of, with_changes
    from core.engine.strategy_files import files_of, load_file

    for folder in reversed(request["path"]):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    recorded = recorded_run(Path(request["ledger"]), request["run_id"])
    given = request["files"]
    files = given or files_of(recorded.config)
    for name, file in files.items():
        load_file(name, Path(file))
    if not given:
        _demand_same_code(recorded, files)
    recorded = with_changes(recorded, request["changes"])
    catalog = catalog_for(recorded, request["catalog"])
    spec = spec_of(recorded, catalog.root, Path(request["out"]))
    plans = plan_strategies(spec.strategy, spec.params)
    guard.watch(deciding_modules(p.type for p in plans))

    def progress(done: int, total: int, simulated_ns: int) -> None:
        say("progress", done=done, total=total, at=simulated_ns)

    run_backtest(spec, progress)


def _demand_same_code(recorded: RecordedRun, files: dict[str, str]) -> None:
    """Refuse a remembered file that has changed: whoever means the changed code says so."""
    from core.engine.backtest.strategies import code_sha
    from core.engine.venues import load_object

    for strategy in recorded.config["strategies"]:
        file = files.get(strategy["path"].partition(":")[0])
        if file and code_sha(load_object(strategy["path"], "strategy")) != strategy["version"]:
            raise StrategyError(
                "the file of the run's strategy has changed since",
                file,
                f"beta replay {recorded.run_id} --strategy {file} (shows what the change decides)",
            )


if __name__ == "__main__":
    raise SystemExit(main())
