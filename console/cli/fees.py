"""`beta fees`: what a trade costs, exactly, and by which dated rule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="What a trade costs, exactly, and by which dated rule.",
    no_args_is_help=True,
    add_completion=False,
)

MOST = 10**12

Price = Annotated[str, typer.Option(help="Price in dollars, between 0 and 1.")]
Size = Annotated[str, typer.Option(help="Contracts or shares.")]
RoleName = Annotated[str, typer.Option(help="taker or maker.")]
SideName = Annotated[str, typer.Option(help="buy or sell.")]
AsOf = Annotated[str, typer.Option(help="Date or time of the fill (ISO 8601); default now.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def kalshi(
    price: Price,
    size: Size,
    role: RoleName = "taker",
    side: SideName = "buy",
    series: Annotated[str, typer.Option(help="Series ticker with known terms.")] = "",
    multiplier: Annotated[
        str, typer.Option(help="fee_multiplier of the series; default 1.", show_default=False)
    ] = "",
    fee_type: Annotated[
        str, typer.Option(help="fee_type of the series; default quadratic.", show_default=False)
    ] = "",
    account: Annotated[str, typer.Option(help="direct ($0.0001) or cent ($0.01).")] = "direct",
    as_of: AsOf = "",
    as_json: AsJson = False,
) -> None:
    """Fee of one Kalshi fill; the price is of the outcome traded."""
    from adapters.kalshi.fees import KalshiFeeBook
    from adapters.kalshi.terms import schedule_of_series
    from core.domain.errors import UsageError
    from core.domain.fees import FeeSchedule

    direct = _choice(account, ("direct", "cent"), "--account") == "direct"
    if series and (multiplier or fee_type):
        raise UsageError(
            "a series has its own fee type and multiplier",
            f"--series {series} --multiplier {multiplier or '-'} --fee-type {fee_type or '-'}",
            f"beta fees kalshi --price {price} --size {size} --series {series}",
        )
    with _questions():
        schedule = (
            schedule_of_series(series)
            if series
            else FeeSchedule(
                "KALSHI",
                kind=fee_type or "quadratic",
                multiplier=_number(multiplier or "1", "--multiplier", "1"),
            )
        )
        _answer(KalshiFeeBook(direct), schedule, price, size, role, side, as_of, as_json)


@app.command()
def polymarket(
    price: Price,
    size: Size,
    role: RoleName = "taker",
    side: SideName = "buy",
    category: Annotated[str, typer.Option(help="Category, for a market without terms.")] = "",
    rate: Annotated[str, typer.Option(help="rate of the market's own feeSchedule.")] = "",
    exponent: Annotated[
        str,
        typer.Option(
            help="exponent of the market's own feeSchedule; default 1.", show_default=False
        ),
    ] = "",
    as_of: AsOf = "",
    as_json: AsJson = False,
) -> None:
    """Fee of one Polymarket fill, by the market's own schedule or by its category at that time."""
    from adapters.polymarket.categories import category_of
    from adapters.polymarket.fees import PolymarketFeeBook
    from core.domain.errors import UsageError
    from core.domain.fees import FeeSchedule

    if bool(category) == bool(rate):
        raise UsageError(
            "name either the category or the market's own rate",
            f"category={category or '-'} rate={rate or '-'}",
            "beta fees polymarket --price 0.5 --size 100 --category politics",
        )
    if category and exponent:
        raise UsageError(
            "an exponent belongs to the market's own rate",
            f"--category {category} --exponent {exponent}",
            f"beta fees polymarket --price {price} --size {size} --category {category}",
        )
    with _questions():
        schedule = FeeSchedule(
            "POLYMARKET",
            rate=_number(rate, "--rate", "0.05") if rate else None,
            exponent=_number(exponent or "1", "--exponent", "1"),
            category=category_of(category) if category else "",
        )
        _answer(PolymarketFeeBook(), schedule, price, size, role, side, as_of, as_json)


@contextmanager
def _questions() -> Iterator[None]:
    """Make terms that no rule covers a question that cannot be answered: exit code 2, not 1."""
    from core.domain.errors import FeeError, UsageError

    try:
        yield
    except FeeError as exc:
        raise UsageError(exc.what, exc.seen, exc.mend) from exc


def _number(text: str, option: str, example: str) -> Decimal:
    """Return a number the user typed; sizes and terms of any venue are far below `MOST`."""
    from core.domain.errors import MarketError, UsageError
    from core.domain.money import decimal_of

    try:
        number = decimal_of(text, option)
    except MarketError as exc:
        raise UsageError(exc.what, text, f"{option} {example}") from exc
    if abs(number) > MOST:
        raise UsageError(f"{option} is too large", text, f"{option} {example}")
    return number


def _choice(value: str, allowed: tuple[str, ...], option: str) -> str:
    from core.domain.errors import UsageError

    word = value.strip().lower()
    if word not in allowed:
        raise UsageError(
            f"{option} must be one of {', '.join(allowed)}", value, f"{option} {allowed[0]}"
        )
    return word


def _moment(as_of: str) -> int:
    from core.domain.clock import ns_from_datetime, ns_from_iso
    from core.domain.errors import UsageError

    ts_ns = ns_from_iso(as_of) if as_of else ns_from_datetime(datetime.now(UTC))
    if ts_ns <= 0:
        raise UsageError("--as-of must lie after 1970", as_of, "--as-of 2026-07-03")
    return ts_ns


def _answer(
    book: Any,
    schedule: Any,
    price_text: str,
    size_text: str,
    role_text: str,
    side_text: str,
    as_of: str,
    as_json: bool,
) -> None:
    from core.domain.clock import iso_from_ns
    from core.domain.errors import UsageError
    from core.domain.fees import FeeFill, Role, Side
    from core.domain.money import ONE, ZERO

    price, size = _number(price_text, "--price", "0.42"), _number(size_text, "--size", "10")
    if not ZERO < price < ONE:
        raise UsageError("price must lie between 0 and 1", price_text, "--price 0.42")
    if size <= ZERO:
        raise UsageError("size must be positive", size_text, "--size 10")
    role = Role(_choice(role_text, ("taker", "maker"), "--role"))
    side = Side(_choice(side_text, ("buy", "sell"), "--side").upper())
    ts_ns = _moment(as_of)
    charge = book.estimate(schedule, FeeFill("ask", side, role, price, size, ts_ns))
    notional = price * size
    cost = notional + charge.fee if side is Side.BUY else charge.fee - notional
    row = {
        "schema_version": 1,
        "venue": schedule.venue,
        "as_of": iso_from_ns(ts_ns),
        "side": side.value,
        "role": role.value,
        "price": _plain(price),
        "size": _plain(size),
        "fee": _plain(charge.fee),
        "fee_per_contract": _plain(charge.fee / size),
        "rule": charge.rule,
        "cost": _plain(cost),
        "break_even": _plain(abs(cost) / size),
        "payout_if_right": _plain(size if side is Side.BUY else ZERO),
        "worst_case_fee": _plain(book.worst_case(schedule, price, size, ts_ns, side)),
    }
    _print(row, as_json)


def _plain(value: Any) -> str:
    """Return a Decimal without exponent or padding, at most 10 decimals."""
    with localcontext(prec=60):
        text = f"{round(value, 10):f}"
    return f"{Decimal(text).normalize():f}" if "." in text else text


def _print(row: dict[str, Any], as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(row))
        return
    from rich.console import Console
    from rich.table import Table

    labels = {
        "fee": "fee ($)",
        "fee_per_contract": "fee per contract ($)",
        "cost": "cost ($, negative: you receive)",
        "break_even": "break-even probability",
        "payout_if_right": "payout if right ($)",
        "worst_case_fee": "at most, in any fills ($)",
    }
    title = f"{row['venue']} {row['side']} {row['size']} @ {row['price']} as {row['role']}"
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="dim")
    table.add_column(justify="right")
    for key in ("fee", "fee_per_contract", "cost", "break_even", "payout_if_right"):
        table.add_row(labels[key], row[key])
    table.add_row(labels["worst_case_fee"], row["worst_case_fee"])
    table.add_row("rule", row["rule"])
    table.add_row("as of", row["as_of"])
    Console().print(table)
