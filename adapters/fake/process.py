"""What the processes of the fake venues share: their options, their faults, and how an error is told."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from adapters.fake.faults import Fault, FaultKind, FaultSchedule
from core.domain.errors import BetaError


def options(module: str) -> argparse.ArgumentParser:
    """Return a parser of the options that every fake venue has."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--catalog", required=True, type=Path)
    parser.add_argument(
        "--markets", default="", help="comma list; default: the ones with most data"
    )
    parser.add_argument("--max-markets", type=int, default=20)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument(
        "--max-gap",
        type=float,
        default=0.0,
        help="cut quiet stretches to this many seconds; 0 = none",
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cash", type=float, default=100.0)
    parser.add_argument("--faults", default="", help="JSON list of faults")
    return parser


def faults_of(text: str) -> FaultSchedule:
    """Return the faults of ``--faults``."""
    return FaultSchedule(
        tuple(Fault(FaultKind(f.pop("kind")), **f) for f in json.loads(text or "[]"))
    )


def run(
    serve: Callable[[argparse.Namespace], Coroutine[Any, Any, None]], args: argparse.Namespace
) -> None:
    """Serve until stopped; an error is told on stdout to whoever started the process, in its own words."""
    try:
        asyncio.run(serve(args))
    except KeyboardInterrupt:
        sys.exit(0)
    except BetaError as exc:
        print(json.dumps({"error": exc.what, "seen": str(exc.seen), "mend": exc.mend}), flush=True)
        sys.exit(int(exc.exit_code))
