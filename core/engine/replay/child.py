"""The process that repeats a run: ``python -m core.engine.replay.child``, request on stdin, lines on stdout.

A process of its own, because its hash seed differs from the recorded run's (an order taken from a set
then shows), and because its network is closed for good. Lines are JSON: ``progress``, then one ``done`` or
``failed``.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from core.domain.errors import BetaError, StrategyError


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

    for folder in reversed(request["path"]):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    for name, file in request["files"].items():
        _load(name, Path(file))
    recorded = with_changes(
        recorded_run(Path(request["ledger"]), request["run_id"]), request["changes"]
    )
    catalog = catalog_for(recorded, request["catalog"])
    spec = spec_of(recorded, catalog.root, Path(request["out"]))
    plans = plan_strategies(spec.strategy, spec.params)
    guard.watch(deciding_modules(p.type for p in plans))

    def progress(done: int, total: int, simulated_ns: int) -> None:
        say("progress", done=done, total=total, at=simulated_ns)

    run_backtest(spec, progress)


def _load(name: str, file: Path) -> None:
    """Import a strategy file outside the packages under the name that the run recorded."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise StrategyError("not a Python file", str(file), "--strategy FILE")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    raise SystemExit(main())
