"""`beta live`: real orders, behind a readiness gate and explicit switches."""

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
def live(
    strategy: Annotated[
        str | None, typer.Argument(help="Short name, import path or file, as for beta backtest.")
    ] = None,
    venue: Annotated[str, typer.Option(help="kalshi or polymarket.")] = "kalshi",
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
        Path | None, typer.Option(help="Folder of the node. Default runs/live/VENUE.")
    ] = None,
    really: Annotated[bool, typer.Option("--live", help="Without it nothing is started.")] = False,
    collect: Annotated[
        bool,
        typer.Option(
            "--collect",
            help="Merge pairs and redeem winners through Polymarket's relayer while it runs.",
        ),
    ] = False,
    collect_every: CollectEvery = 60.0,
    collect_cap: Annotated[
        str, typer.Option(help="Most dollars or shares of one such call.")
    ] = "50",
    collect_day_cap: Annotated[
        str, typer.Option(help="Most of all calls of 24 hours, those sent by hand counted.")
    ] = "200",
    for_s: ForSeconds = 0.0,
    as_json: AsJson = False,
) -> None:
    """Trade with real money. Refuses until everything is ready and --live and BETA_LIVE=1 (or a typed LIVE) are given."""
    from console.node import NodeRequest, run

    if not really:
        from core.domain.errors import GateClosed

        raise GateClosed(
            "live trading was not switched on",
            "no --live",
            "beta paper first, then beta live --live",
        )

    run(
        NodeRequest.build(
            "live",
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
            for_s=for_s,
            spot=spot,
            environment=environment,
            collect=(collect_cap, collect_day_cap) if collect else None,
            collect_every_s=collect_every,
            as_json=as_json,
        )
    )
