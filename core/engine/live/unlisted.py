"""Held markets that the venue no longer lists: kept as they were last known, closed to orders, until they are paid out.

What is followed is written down at every start, so that a market that disappears can still be named, counted in
every limit and compared with the venue. No strategy owns what is held of it; once the venue lists it again with a
result, the next start pays it out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from core.domain.errors import CorruptData
from core.domain.market import Market, MarketStatus
from core.engine.catalog.values import market_from_json, market_to_json
from core.ledger import Ledger
from core.ledger.kinds import Fault

FILE = "markets.json"


def unlisted(home: Path, markets: Sequence[Market], held: Collection[str]) -> list[Market]:
    """Return the markets of `held` instruments that are not among `markets`, and write down what is known now.

    Parameters
    ----------
    held : collection of str
        Instruments of shares, and of orders without an end.

    A file that cannot be read knows nothing: the node then starts without what it would have told.
    """
    path = home / FILE
    known = _read(path)
    listed = {m.market_id for m in markets}
    missing = [
        replace(m, status=MarketStatus.CLOSED)
        for m in known.values()
        if m.market_id not in listed and any(o.instrument_id in held for o in m.outcomes)
    ]
    kept = {m.market_id: market_to_json(m) for m in (*missing, *markets)}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(kept), encoding="utf-8")
    new.replace(path)
    return missing


def tell_gone(
    ledger: Ledger, venue: str, gone: Sequence[Market], held: Mapping[str, Decimal], now_ns: int
) -> None:
    """Say which held markets the venue no longer lists, in a row, which the log repeats."""
    for iid in (o.instrument_id for m in gone for o in m.outcomes if o.instrument_id in held):
        row = Fault(
            where="markets", error=f"{venue} no longer lists a market that is held",
            action="held to its settlement; no order for it leaves", detail=f"{held[iid]} of {iid}",
        )  # fmt: skip
        ledger.append(row, ts_event=now_ns)


def _read(path: Path) -> dict[str, Market]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {market_id: market_from_json(text) for market_id, text in rows.items()}
    except (OSError, ValueError, AttributeError, CorruptData):
        return {}
