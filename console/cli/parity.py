"""`beta parity`: a paper or live run against the backtest engine on the data that run saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Exit codes: 0 compared (with --strict: nothing differs), 1 data, 2 usage, "
    "8 something differs and --strict was given."
)
def parity(
    run: Annotated[
        str,
        typer.Argument(help="Run id (paper-...), or the home folder of a node (its newest run)."),
    ],
    home: Annotated[
        Path | None, typer.Option(help="Home folder of the node, when RUN is a run id.")
    ] = None,
    latency_ms: Annotated[
        float | None,
        typer.Option(help="Order latency of the replay; default: the run's own median."),
    ] = None,
    window_ms: Annotated[
        float, typer.Option(help="How far apart two decisions may be and still be one order.")
    ] = 2000.0,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 8 when anything differs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Replay a recorded run in the backtest engine; list each differing order, fill and fee with its reason."""
    from console.parity import run_parity

    run_parity(
        run, home=home, latency_ms=latency_ms, window_ms=window_ms, strict=strict, as_json=as_json
    )
