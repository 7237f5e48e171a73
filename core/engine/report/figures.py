"""What the page's figures are drawn from: compact columns, downsampled, money as numbers for the eye only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.engine.report.chain import Chains
from core.engine.report.downsample import either, keep
from core.engine.report.summary import Summary
from core.engine.report.wording import times
from core.engine.results import FillRow, OrderRow, RunResult

EQUITY_POINTS = 3_000
PRICE_POINTS = 20_000
PRICE_INSTRUMENTS = 24
BAR_MARKETS = 24
TABLE_ROWS = 5_000


def figure_data(summary: Summary, chains: Chains) -> dict[str, Any]:
    """Return everything the page's script draws; plain lists, numbers and strings."""
    result = summary.result
    return {
        "currency": result.header.currency,
        "capital": float(result.header.capital),
        "span": [_ms(result.header.start_ns), _ms(result.header.end_ns)],
        "equity": _equity(summary),
        "daily": {
            "t": (summary.daily.ts_ns // 1_000_000).tolist(),
            "pnl": np.round(summary.daily.pnl, 6).tolist(),
        },
        "markets": _markets(summary),
        "prices": _prices(result),
        "bins": [
            [b.forecast, b.market, b.observed, b.observed_low, b.observed_high, b.count]
            for b in (summary.scores.bins if summary.scores else ())
        ],
        "fees": [[f.rule, float(f.fees), float(f.volume), f.fills] for f in summary.fees],
        "fills": _table(FILL_COLUMNS, result.fills[-TABLE_ROWS:], _fill),
        "orders": _table(ORDER_COLUMNS, result.orders[-TABLE_ROWS:], _order),
        "seqs": [f.ledger_seq for f in result.fills[-TABLE_ROWS:]],
        "chain": {"command": chains.command, "rows": chains.rows, "ends": chains.ends},
    }


FILL_COLUMNS = (
    "time",
    "market",
    "instrument",
    "side",
    "role",
    "price",
    "quantity",
    "fee",
    "reason",
)
ORDER_COLUMNS = (
    "time",
    "instrument",
    "side",
    "quantity",
    "price",
    "filled",
    "average",
    "status",
    "code",
    "reason",
)


def _ms(ts_ns: int) -> int:
    return ts_ns // 1_000_000


def _table(
    columns: tuple[str, ...], rows: Sequence[Any], cells: Callable[[Any], list[Any]]
) -> dict[str, Any]:
    stamps = times([row.ts_ns for row in rows])
    lines = [[stamp, *cells(row)] for stamp, row in zip(stamps, rows, strict=True)]
    return {"columns": columns, "rows": lines}


def _fill(f: FillRow) -> list[Any]:
    return [
        f.market_id,
        f.instrument_id,
        f.side,
        f.role,
        str(f.price),
        str(f.quantity),
        str(f.fee),
        f.reason,
    ]


def _order(o: OrderRow) -> list[Any]:
    return [
        o.instrument_id,
        o.side,
        str(o.quantity),
        "market" if o.price is None else str(o.price),
        str(o.filled),
        "" if o.avg_price is None else f"{o.avg_price:.4f}",
        o.status,
        o.code,
        o.reason,
    ]


def _equity(summary: Summary) -> dict[str, Any]:
    curve, capital = summary.result.equity, float(summary.result.header.capital)
    if not curve.ts_ns.size:
        span = [_ms(summary.result.header.start_ns), _ms(summary.result.header.end_ns)]
        return {"t": span, "equity": [capital] * 2, "cash": [capital] * 2, "drawdown": [0.0, 0.0]}
    peaks = np.maximum(np.maximum.accumulate(curve.equity), capital)
    with np.errstate(divide="ignore", invalid="ignore"):
        fall = np.where(peaks > 0, (curve.equity - peaks) / peaks, 0.0)
    fills = np.array([f.ts_ns for f in summary.result.fills], dtype=np.int64)
    at_fills = np.searchsorted(curve.ts_ns, fills[-EQUITY_POINTS:], side="right") - 1
    rows = either(
        keep(curve.equity, EQUITY_POINTS, at_fills.astype(np.int64)),
        keep(fall, EQUITY_POINTS // 4),
        curve.ts_ns.size,
    )
    return {
        "t": (curve.ts_ns[rows] // 1_000_000).tolist(),
        "equity": np.round(curve.equity[rows], 4).tolist(),
        "cash": np.round(curve.cash[rows], 4).tolist(),
        "drawdown": np.round(fall[rows], 6).tolist(),
    }


def _markets(summary: Summary) -> list[list[Any]]:
    """The best and the worst markets, best first: id, question, P&L, fills, resolved."""
    rows = sorted(summary.markets, key=lambda m: m.pnl, reverse=True)
    if len(rows) > BAR_MARKETS:
        rows = rows[: BAR_MARKETS // 2] + rows[-BAR_MARKETS // 2 :]
    return [[m.market_id, m.question, float(m.pnl), m.fills, m.resolved] for m in rows]


def _prices(result: RunResult) -> list[dict[str, Any]]:
    by_instrument: dict[str, list[FillRow]] = {}
    for fill in result.fills:
        by_instrument.setdefault(fill.instrument_id, []).append(fill)
    header = result.header
    questions = {m.market_id: m.question for m in result.markets}
    series = sorted(
        (s for s in result.prices if s.instrument_id in by_instrument and s.ts_ns.size),
        key=lambda s: (-len(by_instrument[s.instrument_id]), s.instrument_id),
    )[:PRICE_INSTRUMENTS]
    limit = PRICE_POINTS // max(len(series), 1)
    out = []
    for one in series:
        fills = by_instrument[one.instrument_id]
        rows = either(keep(one.bid, limit // 2), keep(one.ask, limit // 2), one.ts_ns.size)
        settled = [f.ts_ns for f in fills if f.role == "settlement"]
        if settled:  # what is sampled after the payout is the payout
            rows = rows[one.ts_ns[rows] <= settled[-1]]
        first, last = fills[0].ts_ns, fills[-1].ts_ns
        margin = max((last - first) // 2, (header.end_ns - header.start_ns) // 200)
        out.append(
            {
                "id": one.instrument_id,
                "range": [
                    _ms(max(first - margin, header.start_ns)),
                    _ms(min(last + margin, header.end_ns)),
                ],
                "question": questions.get(fills[0].market_id, ""),
                "t": (one.ts_ns[rows] // 1_000_000).tolist(),
                "bid": _numbers(one.bid[rows]),
                "ask": _numbers(one.ask[rows]),
                "fills": [
                    [
                        _ms(f.ts_ns),
                        float(f.price),
                        f.side,
                        f.role,
                        float(f.quantity),
                        f.reason,
                        f.ledger_seq,
                    ]
                    for f in fills[-TABLE_ROWS:]
                ],
            }
        )
    return out


def _numbers(values: NDArray[np.float64]) -> list[float]:
    """Rounded for the eye; NaN becomes null in the page's JSON and a gap in the line."""
    return np.round(values, 6).tolist()  # type: ignore[no-any-return]
