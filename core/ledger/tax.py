"""Realised profit and loss of a calendar year: FIFO per venue and instrument, fees by kind.

The account is the taxpayer, not the strategy: lots are matched over all strategies of a book. Fees are
listed beside cost and proceeds, never inside them, so that any convention can be computed from the
columns. This is a record of what happened, not tax advice.
"""

from __future__ import annotations

import csv
import decimal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import IO
from zoneinfo import ZoneInfo

from core.domain.clock import NS_PER_SECOND
from core.domain.errors import MissingData
from core.domain.money import ZERO
from core.ledger.lots import EXACT, FifoBook
from core.ledger.projections.positions import SETTLEMENT
from core.ledger.projections.state import text
from core.ledger.projections.store import Projections

COLUMNS = (
    "row",
    "venue",
    "instrument_id",
    "acquired",
    "disposed",
    "days_held",
    "how",
    "quantity",
    "proceeds",
    "cost_basis",
    "exchange_fees",
    "gas_fees",
    "ai_costs",
    "funding",
    "other_costs",
    "realized_pnl",
    "currency",
    "open_seq",
    "close_seq",
)
#: Column of a cost that belongs to no disposal.
_COST_COLUMN = {
    "exchange": "exchange_fees",
    "gas": "gas_fees",
    "ai": "ai_costs",
    "funding": "funding",
}
_MONEY = COLUMNS[8:16]


@dataclass(frozen=True, slots=True)
class TaxRow:
    """One line: a disposal, a cost, or the total of a currency. Times are local to the tax zone."""

    row: str
    currency: str
    amounts: dict[str, Decimal]
    venue: str = ""
    instrument_id: str = ""
    acquired: str = ""
    disposed: str = ""
    days_held: int | None = None
    how: str = ""
    quantity: Decimal | None = None
    open_seq: int | None = None
    close_seq: int | None = None

    def values(self) -> dict[str, str]:
        """Return the line by column name; empty where a column does not apply."""
        out = {name: text(self.amounts[name]) if name in self.amounts else "" for name in _MONEY}
        for name in COLUMNS:
            if name not in out:
                value = getattr(self, name)
                out[name] = (
                    ""
                    if value is None
                    else text(value)
                    if isinstance(value, Decimal)
                    else str(value)
                )
        return out


def tax_rows(
    projections: Projections, year: int, book: str = "live", zone: str = "UTC"
) -> list[TaxRow]:
    """Return the disposals and costs of a year in order, then one total per currency.

    Parameters
    ----------
    book : str
        ``live``, ``paper``, or the run id of a backtest.
    zone : str
        Time zone in which the year begins and ends.

    Raises
    ------
    MissingData
        If the book is unknown.
    """
    books = [
        str(r["book"]) for r in projections.query("SELECT DISTINCT book FROM runs ORDER BY book")
    ]
    if book not in books:
        raise MissingData("no such book in this ledger", book, f"--book {' | '.join(books)}")
    tz = ZoneInfo(zone)
    start, end = (
        int(datetime(y, 1, 1, tzinfo=tz).timestamp()) * NS_PER_SECOND for y in (year, year + 1)
    )
    with decimal.localcontext(EXACT):
        rows = [
            *_disposals(projections, book, start, end, tz),
            *_costs(projections, book, start, end, tz),
        ]
        return rows + _totals(rows)


def write_csv(rows: list[TaxRow], out: IO[str]) -> None:
    """Write the lines as CSV with a header."""
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.values() for row in rows)


def _disposals(
    projections: Projections, book: str, start: int, end: int, tz: ZoneInfo
) -> Iterator[TaxRow]:
    """Yield what was sold, settled or merged in the year, matched first in, first out."""
    open_lots: dict[tuple[str, str], FifoBook] = {}
    held: dict[tuple[str, str, str], Decimal] = {}
    for m in projections.query(
        "SELECT * FROM movements WHERE book = ? AND voided = 0 AND ts_ns < ? ORDER BY seq, leg",
        book,
        end,
    ):
        key = (str(m["venue"]), str(m["instrument_id"]))
        lots = open_lots.setdefault(key, FifoBook())
        seq, ts_ns = int(str(m["seq"])), int(str(m["ts_ns"]))
        quantity, price, multiplier, fee = (
            Decimal(str(m[name])) for name in ("quantity", "price", "multiplier", "fee")
        )
        strategy = str(m["strategy_id"])
        if m["how"] != SETTLEMENT:
            held[(*key, strategy)] = held.get((*key, strategy), ZERO) + quantity
            closures = lots.trade(seq, ts_ns, quantity, price, fee, multiplier)
        elif strategy:
            closures = lots.trade(seq, ts_ns, -held.pop((*key, strategy), ZERO), price)
        else:
            held = {k: v for k, v in held.items() if k[:2] != key}
            closures = lots.close_all(seq, ts_ns, price)
        for c in closures:
            if ts_ns < start:
                continue
            yield TaxRow(
                row="disposal",
                venue=key[0],
                instrument_id=key[1],
                acquired=_day(c.opened_ns, tz),
                disposed=_day(c.closed_ns, tz),
                days_held=max(0, (c.closed_ns - c.opened_ns) // (86_400 * NS_PER_SECOND)),
                how=str(m["how"]),
                quantity=c.quantity,
                amounts={
                    "proceeds": c.proceeds,
                    "cost_basis": c.cost,
                    "exchange_fees": c.open_fee + c.close_fee,
                    "realized_pnl": c.pnl,
                },
                currency=str(m["currency"]),
                open_seq=c.open_seq,
                close_seq=c.close_seq,
            )


def _costs(
    projections: Projections, book: str, start: int, end: int, tz: ZoneInfo
) -> Iterator[TaxRow]:
    """Yield gas, model calls, funding and other costs, one line a day and kind."""
    days: dict[tuple[str, str, str, str], Decimal] = {}
    for c in projections.query(
        "SELECT * FROM costs WHERE book = ? AND ts_ns >= ? AND ts_ns < ? ORDER BY seq",
        book,
        start,
        end,
    ):
        key = (_day(int(str(c["ts_ns"])), tz), str(c["kind"]), str(c["venue"]), str(c["currency"]))
        days[key] = days.get(key, ZERO) + Decimal(str(c["amount"]))
    for (day, kind, venue, currency), amount in sorted(days.items()):
        column = _COST_COLUMN.get(kind, "other_costs")
        yield TaxRow(
            row="cost",
            venue=venue,
            disposed=day,
            how=kind,
            currency=currency,
            amounts={column: amount, "realized_pnl": -amount},
        )


def _totals(rows: list[TaxRow]) -> list[TaxRow]:
    """Return one total per currency."""
    sums: dict[str, dict[str, Decimal]] = {}
    for row in rows:
        total = sums.setdefault(row.currency, dict.fromkeys(_MONEY, ZERO))
        for name, amount in row.amounts.items():
            total[name] += amount
    return [TaxRow(row="total", currency=c, amounts=sums[c]) for c in sorted(sums)]


def _day(ts_ns: int, tz: ZoneInfo) -> str:
    """Return the calendar day in the tax zone."""
    return f"{datetime.fromtimestamp(ts_ns // NS_PER_SECOND, tz):%Y-%m-%d}"
