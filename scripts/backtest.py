#!/usr/bin/env python3
"""Thin twin of `beta backtest`: ``scripts/backtest.py --strategy=polymarket_arb --period=90d``.

Takes every option of `beta backtest`; the strategy may be named with ``--strategy``. Any Python may start
it: the run itself is one of ``.venv``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"


def arguments(given: list[str]) -> list[str]:
    """Return `given` with ``--strategy NAME`` or ``--strategy=NAME`` turned into the argument."""
    out, rest = [], iter(given)
    for word in rest:
        if word == "--strategy":
            out.insert(0, next(rest, ""))
        elif word.startswith("--strategy="):
            out.insert(0, word.partition("=")[2])
        else:
            out.append(word)
    return out


if __name__ == "__main__":
    if not PYTHON.exists():
        sys.exit("error: no environment yet\n  seen: no .venv\n  mend: make backtest")
    command = ["-m", "console.cli", "backtest", *arguments(sys.argv[1:])]
    os.environ["PYTHONPATH"] = str(ROOT)
    os.execv(PYTHON, [str(PYTHON), *command])
