"""`beta tokens`: split, merge, redeem or convert Polymarket tokens: shown, and with --send carried out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from console.tokens import SendRequest

app = typer.Typer(
    help="Split, merge, redeem or convert Polymarket tokens: shown, and with --send carried out.",
    no_args_is_help=True,
    add_completion=False,
)

LONGEST_WAIT_S = 86_400
EXAMPLE = "beta tokens merge 0xCONDITION --amount 10"
#: Length of a condition id in bytes tells the version of the protocol.
VERSION = {31: "v2", 32: "v1"}

Condition = Annotated[str, typer.Argument(help="Condition id of the market (0x...).")]
Amount = Annotated[str, typer.Option(help="Dollars or shares, at most 6 decimals.")]
Neg = Annotated[bool, typer.Option("--neg-risk", help="The market is one of a neg-risk event.")]
Cap = Annotated[str, typer.Option(help="Most dollars or shares of the call.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Send = Annotated[
    bool,
    typer.Option(
        "--send", help="Sign it and send it to the relayer; asks for the word LIVE or BETA_LIVE=1."
    ),
]
DayCap = Annotated[str, typer.Option(help="Most dollars or shares of all sent calls of 24 hours.")]
Home = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the ledger of sent calls. Default runs/tokens/polymarket (or fake-polymarket)."
    ),
]
Fake = Annotated[str, typer.Option(help="Address of a fake Polymarket on this machine.")]
Risk = Annotated[
    Path | None,
    typer.Option(
        envvar="BETA_RISK", help="Risk state that halts calls too, beside those of the nodes here."
    ),
]
Wait = Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait for the end.")]


@app.command()
def split(
    condition: Condition,
    amount: Amount,
    neg_risk: Neg = False,
    cap: Cap = "50",
    send: Send = False,
    day_cap: DayCap = "200",
    home: Home = None,
    fake: Fake = "",
    risk: Risk = None,
    wait: Wait = 180.0,
    as_json: AsJson = False,
) -> None:
    """Dollars into equal shares of both outcomes."""
    asked = _Asked("split", condition, amount, cap, neg_risk=neg_risk)
    _run(asked, as_json, _request(send, cap, day_cap, home, fake, risk, wait))


@app.command()
def merge(
    condition: Condition,
    amount: Amount,
    neg_risk: Neg = False,
    cap: Cap = "50",
    send: Send = False,
    day_cap: DayCap = "200",
    home: Home = None,
    fake: Fake = "",
    risk: Risk = None,
    wait: Wait = 180.0,
    as_json: AsJson = False,
) -> None:
    """Equal shares of both outcomes into dollars."""
    asked = _Asked("merge", condition, amount, cap, neg_risk=neg_risk)
    _run(asked, as_json, _request(send, cap, day_cap, home, fake, risk, wait))


@app.command()
def redeem(
    condition: Condition,
    amount: Annotated[
        str, typer.Option(help="Shares (version 2); a version 1 market redeems all.")
    ] = "0",
    outcome: Annotated[int, typer.Option(help="Held outcome, 0 or 1 (version 2).")] = 0,
    neg_risk: Neg = False,
    cap: Cap = "50",
    send: Send = False,
    day_cap: DayCap = "200",
    home: Home = None,
    fake: Fake = "",
    risk: Risk = None,
    wait: Wait = 180.0,
    as_json: AsJson = False,
) -> None:
    """Shares of a resolved market into what they pay."""
    asked = _Asked("redeem", condition, amount, cap, neg_risk=neg_risk, outcome=outcome)
    _run(asked, as_json, _request(send, cap, day_cap, home, fake, risk, wait))


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
    """NO shares of a neg-risk event into dollars and YES shares of the other outcomes. Shown only."""
    asked = _Asked("convert", condition, amount, cap, neg_risk=True, event=event, index_set=index_set)  # fmt: skip
    _run(asked, as_json, None)


@app.command()
def status(home: Home = None, fake: Fake = "", as_json: AsJson = False) -> None:
    """Every call that was sent, and how it ended. Asks nobody."""
    from console.tokens import folder_of, listed

    _print_calls(listed(folder_of(home, fake)), as_json)


@app.command()
def resolve(
    call: Annotated[
        str, typer.Option(help="Id of the call that the owner speaks of; needs --as.")
    ] = "",
    said: Annotated[
        str,
        typer.Option("--as", help="confirmed or failed: what the owner saw in the wallet itself."),
    ] = "",
    home: Home = None,
    fake: Fake = "",
    as_json: AsJson = False,
) -> None:
    """Ask the relayer how open calls ended; or end one by the owner's own word."""
    import asyncio

    from console import tokens
    from core.domain.errors import UsageError

    folder = tokens.folder_of(home, fake)
    if bool(call) != bool(said):
        raise UsageError("--call and --as go together", call or said, "beta tokens resolve --call ID --as failed")  # fmt: skip
    if call:
        _print_calls([tokens.close_by_word(folder, call, said)], as_json)
        return
    request = tokens.SendRequest(home=folder, fake=fake)
    _print_calls(asyncio.run(tokens.resolve(request)), as_json)


class _Asked(NamedTuple):
    """What one command line asks for."""

    action: str
    condition: str
    amount: str
    cap: str
    neg_risk: bool = False
    event: str = ""
    outcome: int = 0
    index_set: int = 0


def _request(
    send: bool,
    cap: str,
    day_cap: str,
    home: Path | None,
    fake: str,
    risk: Path | None,
    wait: float,
) -> SendRequest | None:
    """Return how to send, None for a dry run."""
    if not send:
        return None
    from console.amounts import amount_of
    from console.tokens import SendRequest, folder_of
    from core.domain.errors import UsageError

    if not 0 <= wait <= LONGEST_WAIT_S:
        raise UsageError("not a time to wait", wait, "--wait 180")
    return SendRequest(
        home=folder_of(home, fake), fake=fake, risk=risk, wait_s=wait,
        cap=amount_of(cap, "--cap"), day_cap=amount_of(day_cap, "--day-cap"),
    )  # fmt: skip


def _run(asked: _Asked, as_json: bool, request: SendRequest | None) -> None:
    """Build the call and hold it against its cap; print it, or send it and print what became of it."""
    import asyncio

    from adapters.polymarket.positions import Action, Caps, build
    from console.amounts import amount_of

    market = _market(asked.condition, asked.neg_risk, asked.event)
    amount, most = amount_of(asked.amount, "--amount"), amount_of(asked.cap, "--cap")
    call = build(
        Action(asked.action), market, amount, outcome=asked.outcome, index_set=asked.index_set
    )
    Caps(most, most).hold(call.amount)
    row = {
        "schema_version": 1,
        "action": asked.action,
        "protocol": market.info["version"],
        "to": call.to,
        "data": call.data,
        "amount": f"{call.amount:f}",
        "documented": call.proven,
        "sent": False,
    }
    if request is None:
        _print(row, as_json)
        return
    from console.tokens import send

    done = asyncio.run(
        send(
            request, Action(asked.action), asked.condition, amount,
            neg_risk=asked.neg_risk, outcome=asked.outcome,
        )
    )  # fmt: skip
    _print_calls([done], as_json)


def _print_calls(calls: list[dict[str, Any]], as_json: bool) -> None:
    """Print sent calls, one a line; those whose end is not known say what to do."""
    import json

    from console.tokens import open_calls

    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "calls": calls}))
        return
    for c in calls:
        typer.echo(
            f"{c['status']:9}  {c['action']:6} {c['amount']:>12}  {c['market_id'][:20]}  nonce {c['nonce']}  "
            f"{c['transaction_hash'] or c['transaction_id'] or c['call_id']}  {c['detail']}"
        )
    if not calls:
        typer.echo("no calls")
    if open_calls(calls):
        typer.echo("open calls: beta tokens resolve asks the relayer for them")


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
