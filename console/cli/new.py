"""`beta new`: scaffold a strategy that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Scaffold a strategy that runs.", no_args_is_help=True, add_completion=False)


@app.callback()
def new() -> None:
    """Scaffold something that runs at once and is yours to change."""


@app.command()
def strategy(
    name: Annotated[str, typer.Argument(help="Lower case with underscores, for example my_edge.")],
    into: Annotated[Path, typer.Option(help="Folder to write into.")] = Path(),
) -> None:
    """Write strategies/NAME.py, configs/NAME.toml and a test that runs it on the sample."""
    from console.scaffold import scaffold_strategy

    made = scaffold_strategy(name, into)
    for path in made.files:
        typer.echo(f"wrote {path}")
    typer.echo(f"\nrun it:  beta backtest --config {made.config}")
    typer.echo(f"test it: scripts/setup.sh dev && .venv/bin/python -m pytest {made.test}")
