"""`beta tax YEAR`: realised profit and loss as CSV, first in first out, fees by kind."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="CSV of realised profit and loss by year (FIFO).", add_completion=False)


@app.command()
def tax(
    year: Annotated[int, typer.Argument(min=2000, max=2200, help="Calendar year.")],
    directory: Annotated[str, typer.Option("--dir", help="Ledger or run folder.")] = "",
    book: Annotated[str, typer.Option(help="live, paper, or the run id of a backtest.")] = "live",
    zone: Annotated[
        str, typer.Option("--tz", help="Zone in which the year begins and ends.")
    ] = "UTC",
    out: Annotated[str, typer.Option(help="File to write; - for standard output.")] = "-",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of CSV.")] = False,
) -> None:
    """Write one line per disposal and per day's costs, and a total per currency."""
    from zoneinfo import ZoneInfoNotFoundError

    from console.cli.ledger import SCHEMA, ledger_directory
    from core.domain.errors import UsageError
    from core.ledger.projections import Projections
    from core.ledger.tax import tax_rows, write_csv

    with Projections(ledger_directory(directory, backtests=False)) as projections:
        projections.catch_up()
        try:
            rows = tax_rows(projections, year, book, zone)
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise UsageError("no such time zone", zone, "--tz America/New_York") from exc
    if as_json:
        lines = [row.values() for row in rows]
        print(
            json.dumps(
                {"schema_version": SCHEMA, "year": year, "book": book, "rows": lines}, indent=1
            )
        )
        return
    if out == "-":
        write_csv(rows, sys.stdout)
    else:
        partial = Path(out + ".partial")
        with partial.open("w", newline="") as handle:
            write_csv(rows, handle)
        partial.rename(out)
    for total in rows:
        if total.row == "total":
            shown = total.values()
            print(
                f"{year} {book}: proceeds {shown['proceeds']} cost {shown['cost_basis']} fees "
                f"{shown['exchange_fees']} gas {shown['gas_fees']} ai {shown['ai_costs']} "
                f"realised {shown['realized_pnl']} {total.currency}",
                file=sys.stderr,
            )
