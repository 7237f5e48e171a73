"""`beta backtest`: one strategy on one catalog, in figures, JSON and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)
Merge = Annotated[
    bool | None,
    typer.Option("--merge/--no-merge", help="A pair of YES and NO becomes a dollar at once."),
]


@app.command(
    epilog="Exit codes: 0 the run ended (also with losses or warnings), 1 data or strategy error, "
    "2 usage, 4 configuration, 8 ledger, 130 interrupted."
)
def backtest(
    strategy: Annotated[
        str | None,
        typer.Argument(
            help="Short name (polymarket_arb), import path (pkg.mod:Class) or file (my.py). "
            "Several, joined by commas, share the account."
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="sample, catalog name, or folder; repeat it to run on several as one."),
    ] = None,
    period: Annotated[
        list[str] | None,
        typer.Option(help="90d, 36h, or 2026-07-03:2026-07-10 (UTC, end not included)."),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="Strategy parameter, NAME=VALUE.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file; options on the command line win.")
    ] = None,
    capital: Annotated[str | None, typer.Option(help="Starting dollars. Default 100.")] = None,
    market: Annotated[
        list[str] | None, typer.Option("--market", "-m", help="Only this market; repeatable.")
    ] = None,
    latency_ms: Annotated[
        float | None, typer.Option(help="Order latency; default: the venue's.")
    ] = None,
    queue: Annotated[
        bool | None, typer.Option("--queue/--no-queue", help="Resting orders wait in line.")
    ] = None,
    merge: Merge = None,
    limits: Annotated[
        str | None,
        typer.Option(help="Risk profile or TOML file. Default usd100; research lifts the limits."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw. Default 0.")] = None,
    ledger: Annotated[
        str, typer.Option(help="Folder of the ledger; auto = runs/backtest/..., off = none.")
    ] = "auto",
    report: Annotated[
        Path | None, typer.Option(help="Folder for the page, JSON and CSV files.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    progress: Annotated[bool, typer.Option(help="Show progress on stderr.")] = True,
) -> None:
    """Run a strategy on recorded or sample data and report what it did, fees and all."""
    from console.backtest import BacktestRequest, run

    run(
        BacktestRequest.build(
            config,
            strategy=strategy,
            data=data,
            period=period,
            capital=capital,
            markets=market,
            latency_ms=latency_ms,
            queue_position=queue,
            merge_pairs=merge,
            limits=limits,
            seed=seed,
            params=param,
        ),
        ledger=ledger,
        report=report,
        as_json=as_json,
        show_progress=progress,
    )
