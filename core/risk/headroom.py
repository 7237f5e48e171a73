"""How much of each limit is used and what is left: numbers of the gate itself, kept beside ``risk.json`` for others to read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.risk.breaker import BreakerState
from core.risk.gate import Gate
from core.risk.table import Ceilings
from core.risk.units import NANO, attos_down, dollars, shares

FILE = "headroom.json"
SCHEMA_VERSION = 1
#: Scopes listed of one limit, those with the least left first.
LISTED = 20

Row = dict[str, Any]


def headroom(gate: Gate, now_ns: int, halted: str = "") -> dict[str, Any]:
    """Return every limit with what is used, what is allowed and what is left, and the state of the governors.

    Money is dollars as text, counts are numbers; ``left`` is never below zero.

    Parameters
    ----------
    halted : str
        Why the node has stopped trading by itself, until it is started again; empty if it has not.
    """
    governor, breaker, phase = gate.governor, gate.breaker, gate.phase.phase
    return {
        "schema_version": SCHEMA_VERSION,
        "ts_ns": now_ns,
        "halted": halted,
        "equity": _text(gate.book.equity),
        "limits": [*_exposure(gate), *_money(gate), *_counts(gate), *_losses(gate)],
        "budgets": _budgets(gate),
        "governors": {
            "trading": str(gate.holds.state),
            "reason": gate.holds.reason,
            "posture": str(governor.posture),
            "posture_factor": f"{shares(governor.left):f}",
            "top_ns": governor.top_ns,
            "phase": phase.name,
            "phase_factor": f"{phase.factor:f}",
            "phase_families": list(phase.families),
            "volatile": sorted(governor.volatile),
            "streaks": dict(sorted(governor.streaks.items())),
            "paused_until_ns": _ahead(governor.paused_until, now_ns),
            "barred_until_ns": {
                f"{strategy}/{market}": until
                for (strategy, market), until in sorted(governor.barred_until.items())
                if until > now_ns
            },
            "barred_markets": dict(sorted(gate.barred.items())),
        },
        "breaker": {
            "state": str(breaker.state),
            "open_until_ns": breaker.open_until_ns if breaker.state is BreakerState.OPEN else 0,
            "errors": breaker.errors,
            "failed_attempts": breaker.failed_attempts,
            "mismatches": dict(sorted(breaker.mismatches.items())),
            "barred_until_ns": _ahead(breaker.barred_until, now_ns),
        },
    }


def _text(attos: int) -> str:
    return f"{dollars(attos):f}"


def _ahead(until: dict[str, int], now_ns: int) -> dict[str, int]:
    return {name: ns for name, ns in sorted(until.items()) if ns > now_ns}


def _row(limit: str, scope: str, used: int, most: int) -> Row:
    """Return a row in dollars; amounts in 1e-18 dollar."""
    return {
        "limit": limit,
        "scope": scope,
        "unit": "usd",
        "used": _text(used),
        "most": _text(most),
        "left": _text(max(0, most - used)),
    }


def _ceilings(gate: Gate) -> Ceilings:
    """Return the limits in dollars of whatever is not volatile."""
    book, phase = gate.book, gate.phase.factor
    return Ceilings(gate.table, book.equity, gate.governor.factor(), phase)


def _exposure(gate: Gate) -> Iterator[Row]:
    """Give the committed money per scope against its limit."""
    kept, book = _ceilings(gate), gate.book
    yield _row("exposure.order", "", 0, kept.order)
    markets = {}
    for rules in gate.rules.values():
        if rules.in_market.used:
            most = gate.ceilings(rules).market
            markets[rules.market_id] = _row(
                "exposure.market", rules.market_id, rules.in_market.used, most
            )
    yield from sorted(markets.values(), key=lambda r: (float(r["left"]), r["scope"]))[:LISTED]
    for kind, most in (("event", kept.event), ("venue", kept.venue)):
        used = sorted(((u, name) for name, u in book.used(kind).items() if u), reverse=True)
        for amount, name in used[:LISTED]:
            yield _row(f"exposure.{kind}", name, amount, most)
    yield _row("exposure.total", "", book.committed, kept.total)
    family = gate.breaker.family
    if family in book.families.values():
        most = kept.base * gate.breaker.total_share
        yield _row("breaker.total", family, book.family(family).used, most)


def _money(gate: Gate) -> Iterator[Row]:
    """Give each venue's cash: what orders and unconfirmed sales hold of it."""
    for code, purse in sorted(gate.book.purses.items()):
        yield _row("cash", code, purse.cash - purse.free, purse.cash)


def _counts(gate: Gate) -> Iterator[Row]:
    book, table = gate.book, gate.table
    for name, used, most in (
        ("exposure.open_orders", len(book.orders), table.open_orders),
        ("exposure.unknown_orders", book.unknown, table.unknown_orders),
    ):
        yield {
            "limit": name,
            "scope": "",
            "unit": "orders",
            "used": used,
            "most": most,
            "left": max(0, most - used),
        }


def _losses(gate: Gate) -> Iterator[Row]:
    """Give what was lost since 00:00 UTC and from the top of the window, against what stops trading."""
    for name, lost, most in gate.governor.losses(gate.book.transferred):
        yield _row(name, "", lost, most)
    breaker = gate.breaker
    if breaker.family in gate.book.families.values():
        share = breaker.loss_share * max(0, gate.book.equity) // NANO
        yield _row("breaker.daily_loss", breaker.family, max(0, -breaker.day_profit), share)


def _budgets(gate: Gate) -> list[Row]:
    """Give each family's share of the total limit; a single family has it all."""
    kept, book = _ceilings(gate), gate.book
    out = []
    for family in sorted({f for f in book.families.values() if f}):
        share = gate.budget.get(family, NANO)
        most = kept.base * (gate.table.total * share // NANO)
        row = _row("budget", family, book.family(family).used, most)
        out.append(row | {"share": f"{shares(share):f}"})
    return out


def keep(directory: Path, gate: Gate, now_ns: int, halted: str = "") -> None:
    """Write the present numbers beside ``risk.json``; a disk that refuses changes nothing for trading."""
    path = directory / FILE
    text = json.dumps(headroom(gate, now_ns, halted), separators=(",", ":"))
    with suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)


def read(directory: Path) -> dict[str, Any] | None:
    """Return the numbers that a node wrote last; None when there are none, or they cannot be read."""
    try:
        found = json.loads((directory / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(found, dict) and found.get("schema_version") == SCHEMA_VERSION
    return found if known else None


def carry_losses(directory: Path, gate: Gate, resumed_ns: int) -> None:
    """Let a gate that has just been built go on from the losses that an earlier process wrote last.

    Parameters
    ----------
    resumed_ns : int
        When an operator resumed trading while no node ran: losses before are forgiven.
    """
    found = read(directory)
    if found is None:
        return
    try:
        used = {
            r["limit"]: attos_down(Decimal(r["used"])) for r in found["limits"] if not r["scope"]
        }
        ts_ns, top_ns = int(found["ts_ns"]), int(found["governors"]["top_ns"])
        lost, fallen = used["governors.daily_loss"], used["governors.drawdown"]
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return  # of another version, or damaged: a help, not a record
    if ts_ns > resumed_ns:
        gate.governor.carry(ts_ns, lost, fallen, top_ns)
