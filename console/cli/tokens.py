"""`beta tokens`: the contract call that splits, merges, redeems or converts Polymarket tokens; nothing is sent."""

from __future__ import annotations

from typing import Annotated, Any

import typer

app = typer.Typer(
    help="The contract call that splits, merges, redeems or converts Polymarket tokens; nothing is sent.",
    no_args_is_help=True,
    add_completion=False,
)

EXAMPLE = "beta tokens merge 0xCONDITION --amount 10"
#: Length of a condition id in bytes tells the version of the protocol.
VERSION = {31: "v2", 32: "v1"}

Condition = Annotated[str, typer.Argument(help="Condition id of the market (0x...).")]
Amount = Annotated[str, typer.Option(help="Dollars or shares, at most 6 decimals.")]
Neg = Annotated[bool, typer.Option("--neg-risk", help="The market is one of a neg-risk event.")]
Cap = Annotated[str, typer.Option(help="Most dollars or shares of the call.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def split(
    condition: Condition,
    amount: Amount,
    neg_risk: Neg = False,
    cap: Cap = "50",
    as_json: AsJson = False,
) -> None:
    """Dollars into equal shares of both outcomes."""
    _show("split", condition, amount, cap, as_json, neg_risk=neg_risk)


@app.command()
def merge(
    condition: Condition,
    amount: Amount,
    neg_risk: Neg = False,
    cap: Cap = "50",
    as_json: AsJson = False,
) -> None:
    """Equal shares of both outcomes into dollars."""
    _show("merge", condition, amount, cap, as_json, neg_risk=neg_risk)


@app.command()
def redeem(
    condition: Condition,
    amount: Annotated[
        str, typer.Option(help="Shares (version 2); a version 1 market redeems all.")
    ] = "0",
    outcome: Annotated[int, typer.Option(help="Held outcome, 0 or 1 (version 2).")] = 0,
    neg_risk: Neg = False,
    cap: Cap = "50",
    as_json: AsJson = False,
) -> None:
    """Shares of a resolved market into what they pay."""
    _show("redeem", condition, amount, cap, as_json, neg_risk=neg_risk, outcome=outcome)


@app.command()
def convert(
    condition: Condition,
    amount: Amount,
    event: Annotated[str, typer.Option(help="negRiskMarketID of the event (0x...).")],
    index_set: Annotated[
        int, typer.Option(help="NO tokens to convert, one bit for each outcome of the event.")
    ],
    cap: Cap = "50",
    as_json: AsJson = False,
) -> None:
    """NO shares of a neg-risk event into dollars and YES shares of the other outcomes."""
    _show(
        "convert", condition, amount, cap, as_json,
        neg_risk=True, event=event, index_set=index_set,
    )  # fmt: skip


def _show(
    action: str,
    condition: str,
    amount: str,
    cap: str,
    as_json: bool,
    *,
    neg_risk: bool,
    event: str = "",
    outcome: int = 0,
    index_set: int = 0,
) -> None:
    """Build the call, hold it against its cap, print it."""
    import asyncio

    from adapters.polymarket.positions import Action, Positions, build

    market = _market(condition, neg_risk, event)
    call = build(
        Action(action), market, _amount(amount, "--amount"), outcome=outcome, index_set=index_set
    )
    most = _amount(cap, "--cap")
    asyncio.run(Positions(cap=most, total_cap=most).run(call))
    row = {
        "schema_version": 1,
        "action": action,
        "protocol": market.info["version"],
        "to": call.to,
        "data": call.data,
        "amount": f"{call.amount:f}",
        "documented": call.proven,
        "sent": False,
    }
    _print(row, as_json)


def _market(condition: str, neg_risk: bool, event: str) -> Any:
    """Return a market with what a call needs of it: its ids, version and kind."""
    from adapters.polymarket.registry import Registry
    from core.domain.errors import UsageError

    version = VERSION.get(len(condition.removeprefix("0x")) // 2)
    if version is None:
        raise UsageError("not a condition id (31 or 32 bytes in hex)", condition, EXAMPLE)
    listed = {
        "conditionId": condition, "version": version, "clobTokenIds": '["1", "2"]',
        "positionIds": ["1", "2"], "outcomes": '["Yes", "No"]', "endDate": "2100-01-01T00:00:00Z",
        "negRisk": neg_risk, "negRiskMarketID": event,
    }  # fmt: skip
    return Registry().take(listed)


def _amount(text: str, option: str) -> Any:
    from core.domain.errors import MarketError, UsageError
    from core.domain.money import decimal_of

    try:
        number = decimal_of(text, option)
    except MarketError as exc:
        raise UsageError(exc.what, text, f"{option} 10") from exc
    if number < 0:
        raise UsageError(f"{option} is negative", text, f"{option} 10")
    return number


def _print(row: dict[str, Any], as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(row))
        return
    typer.echo(
        f"{row['action']} ({row['protocol']}), amount {row['amount']}; nothing has been sent"
    )
    typer.echo(f"to    {row['to']}")
    typer.echo(f"data  {row['data']}")
    if not row["documented"]:
        typer.echo(
            "note: no document states what every argument of this call means, or what it pays; try it with"
        )
        typer.echo("      the smallest amount first.")
