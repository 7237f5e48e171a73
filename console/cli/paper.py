"""`beta paper`: a strategy on a live or replayed market, orders matched by our own paper venue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.cli.node_options import (
    EXIT_CODES,
    AsJson,
    Capital,
    CollectEvery,
    Config,
    Data,
    Environment,
    ForSeconds,
    Limits,
    Market,
    Param,
    Series,
    Spot,
)

app = typer.Typer(add_completion=False)


@app.command(epilog=EXIT_CODES)
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
    config: Config = None,
    data: Data = None,
    market: Market = None,
    series: Series = None,
    param: Param = None,
    capital: Capital = None,
    limits: Limits = None,
    environment: Environment = "",
    spot: Spot = "auto",
    home: Annotated[
        Path | None, typer.Option(help="Folder of the node. Default runs/paper/VENUE.")
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="Replay speed of a fake venue.")
    ] = 10.0,
    max_gap: Annotated[
        float, typer.Option(min=0, help="Longest quiet stretch of a replay, recorded seconds.")
    ] = 60.0,
    markets: Annotated[int, typer.Option(min=1, help="Markets that a fake venue replays.")] = 3,
    repeat: Annotated[
        int, typer.Option(min=1, help="Play the replay this often, each time as new markets.")
    ] = 1,
    for_s: ForSeconds = 0.0,
    status_every: Annotated[
        float, typer.Option(min=1.0, help="Seconds between status lines of the node's log.")
    ] = 60.0,
    collect_every: CollectEvery = 60.0,
    as_json: AsJson = False,
) -> None:
    """Trade a live market with paper money; fake-kalshi and fake-polymarket need no network and no key."""
    from console.node import NodeRequest, run

    run(
        NodeRequest.build(
            "paper",
            venue,
            config,
            strategy=strategy,
            options={
                "data": data,
                "capital": capital,
                "markets": market,
                "params": param,
                "limits": limits,
            },
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
            collect_every_s=collect_every,
            as_json=as_json,
        )
    )
