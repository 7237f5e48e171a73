"""`beta live`: real orders, behind a readiness gate and explicit switches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Exit codes: 0 stopped in order, 1 strategy or venue error, 2 usage, 4 configuration, "
    "6 not ready, 7 halted, 8 ledger or a second node, 130 interrupted."
)
def live(
    strategy: Annotated[
        str | None, typer.Argument(help="Short name, import path or file, as for beta backtest.")
    ] = None,
    venue: Annotated[str, typer.Option(help="kalshi or polymarket.")] = "kalshi",
    config: Annotated[
        Path | None, typer.Option(help="TOML file of a backtest; options here win.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Catalog that a fake venue replays. Default sample.")
    ] = None,
    market: Annotated[
        list[str] | None, typer.Option("--market", "-m", help="Ticker, condition id or slug.")
    ] = None,
    series: Annotated[list[str] | None, typer.Option(help="Kalshi series, repeatable.")] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="Strategy parameter, NAME=VALUE.")
    ] = None,
    capital: Annotated[str | None, typer.Option(help="Dollars of a new paper account.")] = None,
    limits: Annotated[
        str | None,
        typer.Option(
            help="Risk profile or TOML file to put in force; default: what is in force (usd100)."
        ),
    ] = None,
    environment: Annotated[
        str, typer.Option(help="Kalshi: production or demo (keys are made for one of them).")
    ] = "",
    spot: Annotated[
        str, typer.Option(help="Spot prices behind crypto windows: auto, kraken, binance or off.")
    ] = "auto",
    home: Annotated[
        Path | None, typer.Option(help="Folder of the node. Default runs/live/VENUE.")
    ] = None,
    really: Annotated[bool, typer.Option("--live", help="Without it nothing is started.")] = False,
    for_s: Annotated[
        float, typer.Option("--for", help="Stop after this many seconds; 0 = run on.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the end as JSON.")] = False,
) -> None:
    """Trade with real money. Refuses until everything is ready and --live and BETA_LIVE=1 (or a typed LIVE) are given."""
    from console.backtest import BacktestRequest
    from console.node import NodeRequest, run

    if not really:
        from core.domain.errors import GateClosed

        raise GateClosed(
            "live trading was not switched on",
            "no --live",
            "beta paper first, then beta live --live",
        )

    run(
        NodeRequest(
            base=BacktestRequest.build(
                config,
                strategy=strategy,
                data=data,
                capital=capital,
                markets=market,
                params=param,
                limits=limits,
            ),
            mode="live",
            venue=venue,
            home=home,
            series=tuple(series or ()),
            for_s=for_s,
            spot=spot,
            environment=environment,
            as_json=as_json,
        )
    )
