#!/usr/bin/env python
"""Thin twin of `beta backtest`: ``scripts/backtest.py --strategy=polymarket_arb --period=90d``.

Takes every option of `beta backtest`; the strategy may be named with ``--strategy``.
"""

from __future__ import annotations

import sys
from pathlib import Path


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
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from console.cli.app import main

    sys.argv = ["beta", "backtest", *arguments(sys.argv[1:])]
    main()
