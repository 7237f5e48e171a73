"""Options that every command which runs a node has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

# Arrow reads this when it is imported; its own allocator keeps 10 to 25 MB of what the recorder has written.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

EXIT_CODES = (
    "Exit codes: 0 stopped in order, 1 strategy or venue error, 2 usage, 4 configuration, "
    "6 not ready, 7 halted, 8 ledger or a second node, 130 interrupted."
)

Config = Annotated[Path | None, typer.Option(help="TOML file of a backtest; options here win.")]
Data = Annotated[
    str | None, typer.Option(help="Catalog that a fake venue replays. Default sample.")
]
Market = Annotated[
    list[str] | None, typer.Option("--market", "-m", help="Ticker, condition id or slug.")
]
Series = Annotated[list[str] | None, typer.Option(help="Kalshi series, repeatable.")]
Param = Annotated[
    list[str] | None, typer.Option("--param", "-p", help="Strategy parameter, NAME=VALUE.")
]
Capital = Annotated[str | None, typer.Option(help="Dollars of a new paper account.")]
Limits = Annotated[
    str | None,
    typer.Option(
        help="Risk profile or TOML file to put in force; default: what is in force (usd100)."
    ),
]
Environment = Annotated[
    str, typer.Option(help="Kalshi: production or demo (keys are made for one of them).")
]
Spot = Annotated[
    str, typer.Option(help="Spot prices behind crypto windows: auto, kraken, binance or off.")
]
ForSeconds = Annotated[
    float, typer.Option("--for", min=0, help="Stop after this many seconds; 0 = run on.")
]
CollectEvery = Annotated[
    float,
    typer.Option(min=0, help="Seconds between looks for pairs to merge (Polymarket); 0 = never."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the end as JSON.")]
