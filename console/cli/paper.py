"""`beta paper`: a strategy on a live or replayed market, orders matched by our own paper venue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Exit codes: 0 stopped in order, 1 strategy or venue error, 2 usage, 4 configuration, "
    "6 not ready, 7 halted, 8 ledger or a second node, 130 interrupted."
)
def paper(
    strategy: Annotated[
        str | None,
        typer.Argument(
            help="Short name, import path or file, as for beta backtest. On a fake venue by default "
            "kalshi_event or polymarket_arb."
        ),
    ] = None,
    venue: Annotated[
        str, typer.Option(help="kalshi, polymarket, fake-kalshi or fake-polymarket (offline).")
    ] = "fake-kalshi",
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
        Path | None, typer.Option(help="Folder of the node. Default runs/paper/VENUE.")
    ] = None,
    speed: Annotated[float, typer.Option(help="Replay speed of a fake venue.")] = 10.0,
    max_gap: Annotated[
        float, typer.Option(help="Longest quiet stretch of a replay, recorded seconds.")
    ] = 60.0,
    markets: Annotated[int, typer.Option(help="Markets that a fake venue replays.")] = 3,
    repeat: Annotated[
        int, typer.Option(min=1, help="Play the replay this often, each time as new markets.")
    ] = 1,
    for_s: Annotated[
        float, typer.Option("--for", help="Stop after this many seconds; 0 = run on.")
    ] = 0.0,
    status_every: Annotated[
        float, typer.Option(min=1.0, help="Seconds between status lines of the node's log.")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the end as JSON.")] = False,
) -> None:
    """Trade a live market with paper money; fake-kalshi and fake-polymarket need no network and no key."""
    from console.backtest import BacktestRequest
    from console.node import SHOWN_BY, NodeRequest, run

    if strategy is None and config is None:
        strategy = SHOWN_BY.get(venue)
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
            mode="paper",
            venue=venue,
            home=home,
            series=tuple(series or ()),
            speed=speed,
            max_gap_s=max_gap,
            fake_markets=markets,
            repeat=repeat,
            status_every_s=status_every,
            for_s=for_s,
            spot=spot,
            environment=environment,
            as_json=as_json,
        )
    )
