"""Pairs that a venue which nets (Kalshi) has turned into dollars: whose shares went, and what each owner got.

The venue nets the account, whoever's the shares are. Pairs of one owner are a merge: a dollar each. What is left are pairs
of two owners, which the gate lets no two strategies come to: a trade by hand against a strategy's shares, or an order that
filled after it was proven absent. Each leg then closes at the newest fill's price: whoever traded last pays only the
fee, and the other has sold at the price of that trade. Oldest holdings go first (ADR 0126).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from core.domain.market import Market
from core.domain.money import ONE, ZERO
from core.engine.live.bought import Bought, bought
from core.engine.venues import load_venue
from core.ledger import Ledger
from core.ledger.kinds import PositionsMerged

Key = tuple[str, str]


class Part(NamedTuple):
    """Shares of one owner that became dollars: of both outcomes, or of one where the other was somebody else's."""

    strategy_id: str
    instrument_ids: tuple[str, ...]
    quantity: Decimal
    proceeds: Decimal


def parts_of(
    held: Mapping[Key, Decimal], pair: tuple[str, str], last: tuple[str, Decimal]
) -> list[Part]:
    """Return what has gone of holdings of both outcomes.

    Parameters
    ----------
    held : mapping of (owner, instrument) to Decimal
        Shares, oldest holding first.
    last : (str, Decimal)
        Instrument and price of the newest fill in the market.
    """
    legs = [{owner: q for (owner, iid), q in held.items() if iid == one and q > 0} for one in pair]
    out: list[Part] = []
    for owner in legs[0].keys() & legs[1].keys():
        both = min(leg[owner] for leg in legs)
        out.append(Part(owner, pair, both, both))
        for leg in legs:
            leg[owner] -= both
    out.sort()
    pairs = min(sum(leg.values(), ZERO) for leg in legs)
    for iid, leg in zip(pair, legs, strict=True):
        price, left = last[1] if iid == last[0] else ONE - last[1], pairs
        for owner, quantity in leg.items():
            gone = min(quantity, left)
            left -= gone
            if gone > 0:
                out.append(Part(owner, (iid,), gone, gone * price))
    return out


def write(
    ledger: Ledger,
    parts: Iterable[Part],
    fills: Mapping[Key, int],
    source: tuple[int, ...],
    *,
    venue: str,
    currency: str,
    ts_ns: int,
) -> int:
    """Write a row for each part, which names the last fills of all shares that went with it; return the last row.

    Parameters
    ----------
    fills : mapping of (owner, instrument) to int
        Row of the last fill of each holding; `source` is named where there is none.
    """
    parts, seq = list(parts), 0
    single = {(p.strategy_id, p.instrument_ids[0]) for p in parts if len(p.instrument_ids) == 1}
    for part in parts:
        own = {(part.strategy_id, iid) for iid in part.instrument_ids}
        of = own if len(own) > 1 else single
        behind = sorted({fills.get(key, 0) for key in of} - {0})
        row = PositionsMerged(
            venue=venue, instrument_ids=part.instrument_ids, quantity=part.quantity,
            proceeds=part.proceeds, currency=currency, strategy_id=part.strategy_id,
        )  # fmt: skip
        seq = ledger.append(row, ts_event=ts_ns, parents=tuple(behind) or source)
    return seq


def shares_of(directory: Path, venue: str) -> Shares:
    """Return what the ledger in `directory` holds by owner at a venue."""
    return Shares(bought(directory), nets=load_venue(venue).nets_outcomes)


class Shares:
    """Shares by owner as the ledger has them, oldest first, while a node starts: fed with each fill that it writes.

    Parameters
    ----------
    known : Bought
        What the ledger holds.
    nets : bool
        Whether the venue nets; elsewhere pairs stay what they are.
    """

    def __init__(self, known: Bought, *, nets: bool) -> None:
        oldest = sorted(known.held.items(), key=lambda item: item[1].since_ns)
        self._held = {key: one.quantity for key, one in oldest if one.quantity > 0}
        self._last = dict(known.last)
        self._nets = nets
        self._other: dict[str, str] = {}

    def follow(self, markets: Iterable[Market]) -> None:
        """Learn which outcomes are two sides of one market."""
        for market in markets:
            if len(market.outcomes) == 2:
                first, second = (o.instrument_id for o in market.outcomes)
                self._other |= {first: second, second: first}

    def copy(self) -> Shares:
        """Return an equal one that goes its own way."""
        other = Shares(Bought(), nets=self._nets)
        other._held, other._last = dict(self._held), dict(self._last)
        other._other = self._other
        return other

    def of(self, instrument_id: str) -> dict[str, Decimal]:
        """Return shares of one outcome by owner, oldest first."""
        return {owner: q for (owner, iid), q in self._held.items() if iid == instrument_id}

    def total(self, instrument_id: str) -> Decimal:
        """Return all shares of one outcome."""
        return sum(self.of(instrument_id).values(), ZERO)

    def fill(
        self, strategy_id: str, instrument_id: str, signed: Decimal, price: Decimal
    ) -> list[Part]:
        """Take a fill (negative: a sale); return what it has netted."""
        self.take(strategy_id, instrument_id, signed, price)
        return self.netted(instrument_id)

    def take(self, strategy_id: str, instrument_id: str, signed: Decimal, price: Decimal) -> None:
        """Take a fill, and leave pairs for `netted`."""
        self._add((strategy_id, instrument_id), signed)
        self._last[instrument_id] = (max(self._last.values(), default=(0, ZERO))[0] + 1, price)

    def netted(self, instrument_id: str) -> list[Part]:
        """Take away the pairs of a market and return them; none where the venue does not net."""
        other = self._other.get(instrument_id)
        if not self._nets or other is None:
            return []
        first, second = pair = tuple(sorted((instrument_id, other)))
        newest = max(pair, key=lambda iid: self._last.get(iid, (0, ZERO))[0])
        last = newest, self._last.get(newest, (0, ONE / 2))[1]
        parts = parts_of(self._held, (first, second), last)
        for part in parts:
            for iid in part.instrument_ids:
                self._add((part.strategy_id, iid), -part.quantity)
        return parts

    def _add(self, key: Key, signed: Decimal) -> None:
        left = self._held.get(key, ZERO) + signed
        if left > 0:
            self._held[key] = left
        else:
            self._held.pop(key, None)
