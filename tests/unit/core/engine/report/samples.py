"""Results made by hand: small ones whose figures can be checked on paper, and one as large as a real run."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from core.domain.clock import NS_PER_DAY, NS_PER_SECOND, ns_from_iso
from core.engine.results import (
    EquityCurve,
    FillRow,
    ForecastRow,
    MarketRow,
    OrderRow,
    PriceSeries,
    RunHeader,
    RunResult,
    SettlementRow,
)

D = Decimal
START = ns_from_iso("2026-07-01")
HOUR = 3600 * NS_PER_SECOND


def header(**over):
    values = {
        "run_id": "r-1",
        "strategy": "strategies.demo:Demo",
        "strategy_version": "ab" * 32,
        "params": {"edge": "0.02"},
        "config_hash": "cd" * 32,
        "catalog": "demo",
        "catalog_sha": "ef" * 32,
        "synthetic": False,
        "start_ns": START,
        "end_ns": START + 10 * NS_PER_DAY,
        "read_from_ns": START,
        "capital": D("100"),
        "currency": "USD",
        "latency_ms": 75.0,
        "queue_position": True,
        "records": 100_000,
        "engine_seconds": 0.5,
        "fee_rules": ("kalshi-2026",),
        "versions": {"nautilus_trader": "2.0.0rc7"},
    }
    return RunHeader(**(values | over))


def fill(day, side, price, quantity, fee="0", role="taker", market="M1", outcome="YES", **over):
    values = {
        "ts_ns": START + int(day * NS_PER_DAY),
        "order_id": f"O-{day}",
        "strategy_id": "Demo-001",
        "venue": "KALSHI",
        "market_id": market,
        "instrument_id": f"{market}-{outcome}.KALSHI",
        "side": side,
        "role": role,
        "price": D(price),
        "quantity": D(quantity),
        "fee": D(fee),
        "fee_rule": "" if role == "settlement" else "kalshi-2026",
        "reason": "settlement" if role == "settlement" else "edge",
    }
    return FillRow(**(values | over))


def order(day, code="", **over):
    values = {
        "order_id": f"O-{day}",
        "ts_ns": START + int(day * NS_PER_DAY),
        "strategy_id": "Demo-001",
        "venue": "KALSHI",
        "market_id": "M1",
        "instrument_id": "M1-YES.KALSHI",
        "side": "BUY",
        "quantity": D("10"),
        "price": D("0.40"),
        "tif": "IOC",
        "status": "REFUSED" if code else "FILLED",
        "filled": D(0) if code else D("10"),
        "avg_price": None if code else D("0.40"),
        "code": code,
        "reason": "edge",
    }
    return OrderRow(**(values | over))


def market(market_id="M1", pnl="0", **over):
    values = {
        "market_id": market_id,
        "venue": "KALSHI",
        "question": f"Will {market_id} happen?",
        "fills": 2,
        "pnl": D(pnl),
        "fees": D("0.1"),
        "resolved": True,
        "payout": D(1),
        "open_quantity": D(0),
        "open_value": D(0),
        "exit_reasons": {"settlement": 1},
        "instruments": (f"{market_id}-YES.KALSHI", f"{market_id}-NO.KALSHI"),
    }
    return MarketRow(**(values | over))


def forecast(p, m, y, event="E1", **over):
    values = {
        "ts_ns": START,
        "instrument_id": "M1-YES.KALSHI",
        "market_id": "M1",
        "event_id": event,
        "probability": p,
        "market_price": m,
        "outcome": y,
        "model_id": "demo",
    }
    return ForecastRow(**(values | over))


def curve(points, cash=None, exposure=None):
    """Equity curve of (day, equity) pairs."""
    days = np.array([d for d, _ in points], dtype=np.float64)
    equity = np.array([e for _, e in points], dtype=np.float64)
    zero = np.zeros_like(equity)
    return EquityCurve(
        START + (days * NS_PER_DAY).astype(np.int64),
        equity,
        equity if cash is None else np.array(cash, dtype=np.float64),
        zero if exposure is None else np.array(exposure, dtype=np.float64),
    )


def result(**over):
    final = over.pop("final_equity", D("100"))
    values = {
        "header": header(),
        "orders": [],
        "fills": [],
        "settlements": [],
        "forecasts": [],
        "markets": [],
        "equity": curve([(0, 100.0)]),
        "prices": [],
        "warnings": [],
        "decision_hash": "12" * 32,
        "final_cash": final,
        "final_equity": final,
        "fees_paid": sum((f.fee for f in over.get("fills", [])), D(0)),
        "unresolved": [],
    }
    return RunResult(**(values | over))


#: Market texts that try to leave their place: markup, script ends, chart templates, formulas.
HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "%{x} <a href='javascript:alert(1)'>click</a> {{data}}",
    '=HYPERLINK("http://x")',
    "Überraschung 🎲 & <b>Söhne</b> \u2028 'quoted' \"double\"",
)


def large(markets=60, fills=2_400, points=20_000, forecasts=2_000, seed=7, synthetic=False):
    """A result of the size of a real run, with arithmetic that adds up and hostile texts."""
    rng = np.random.default_rng(seed)
    end = START + 90 * NS_PER_DAY
    names = [f"KXDEMO-{i:03d}" for i in range(markets)]
    payout = {n: D(int(rng.random() < 0.5)) for n in names}
    rows, orders, settlements, cash = [], [], [], D("1000")
    cash_at: list[tuple[int, Decimal]] = []
    per = fills // markets
    for i, name in enumerate(names):
        held = D(0)
        begin = START + int(i * 89 / markets * NS_PER_DAY)
        for k in range(per):
            ts = begin + k * int(0.9 * NS_PER_DAY / per)
            sell = held > 0 and k % 3 == 2
            price = D(int(rng.integers(38 + 8 * sell, 70 + 10 * sell))) / 100
            quantity = held if sell else D(int(rng.integers(1, 4)))
            fee = (D("0.07") * quantity * price * (1 - price)).quantize(D("0.0001"))
            orders.append(
                order(
                    0,
                    order_id=f"{name}-{k}",
                    ts_ns=ts,
                    market_id=name,
                    instrument_id=f"{name}-YES.KALSHI",
                )
            )
            rows.append(
                fill(
                    0, "SELL" if sell else "BUY", str(price), str(quantity), str(fee),
                    role="maker" if k % 4 == 0 else "taker", market=name, ts_ns=ts,
                    order_id=f"{name}-{k}", reason="stop" if sell else "edge above fee",
                )
            )  # fmt: skip
            cash += (price * quantity if sell else -price * quantity) - fee
            held = D(0) if sell else held + quantity
            cash_at.append((ts, cash))
        ts = begin + NS_PER_DAY
        if held:
            rows.append(
                fill(
                    0,
                    "SELL",
                    str(payout[name]),
                    str(held),
                    market=name,
                    role="settlement",
                    ts_ns=ts,
                )
            )
            settlements.append(
                SettlementRow(
                    ts, name, f"{name}-YES.KALSHI", payout[name], held, held * payout[name]
                )
            )
            cash += held * payout[name]
            cash_at.append((ts, cash))
    for i in range(40):
        orders.append(order(i, code="CASH" if i % 2 else "PRICE_OFF_GRID", order_id=f"X-{i}"))
    ts = np.unique(
        np.concatenate(
            [
                np.linspace(START, end, points - len(cash_at)).astype(np.int64),
                [t for t, _ in cash_at],
            ]
        )
    )
    steps = np.searchsorted([t for t, _ in cash_at], ts, side="right")
    money = np.array([1000.0] + [float(c) for _, c in cash_at])[steps]
    exposure = np.abs(rng.normal(2, 1, ts.size)) * (steps > 0)
    exposure[-1] = 0
    pnl = {
        n: sum(
            (
                (f.price * f.quantity if f.side == "SELL" else -f.price * f.quantity) - f.fee
                for f in rows
                if f.market_id == n
            ),
            D(0),
        )
        for n in names
    }
    rows.sort(key=lambda f: f.ts_ns)
    books = []
    for name in names[:30]:
        t = np.linspace(START, end, 2_000).astype(np.int64)
        mid = np.clip(0.5 + np.cumsum(rng.normal(0, 0.01, t.size)), 0.05, 0.95)
        bid, ask = np.round(mid - 0.01, 2), np.round(mid + 0.01, 2)
        bid[100:110] = np.nan
        books.append(PriceSeries(f"{name}-YES.KALSHI", t, bid, ask))
    truth = rng.random(forecasts)
    scored = [
        forecast(
            float(np.clip(p + rng.normal(0, 0.05), 0, 1)),
            float(np.clip(p + rng.normal(0, 0.08), 0.01, 0.99)),
            float(rng.random() < p),
            event=f"E{i % 200}",
        )
        for i, p in enumerate(truth)
    ]
    questions = [
        HOSTILE[i] if i < len(HOSTILE) else f"Will demo {i} close above 50?" for i in range(markets)
    ]
    return RunResult(
        header=header(
            capital=D(1000),
            end_ns=end,
            synthetic=synthetic,
            params={"edge": "0.02", "label": HOSTILE[0]},
        ),
        orders=sorted(orders, key=lambda o: o.ts_ns),
        fills=rows,
        settlements=settlements,
        forecasts=scored,
        markets=[
            market(n, str(pnl[n]), question=q, fills=per, payout=payout[n])
            for n, q in zip(names, questions, strict=True)
        ],
        equity=EquityCurve(ts, money + exposure, money, exposure),
        prices=books,
        warnings=[],
        decision_hash="12" * 32,
        final_cash=cash,
        final_equity=cash,
        fees_paid=sum((f.fee for f in rows), D(0)),
        unresolved=[],
    )
