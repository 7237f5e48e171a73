"""Pairs on their way to dollars: promised at the gate meanwhile, and no difference to the audit.

Between the call and our word of its end either book may have them: the chain may have carried it out before we hear of it,
and the venue's balance may show it after we have booked it. The audit allows for exactly these pairs, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from core.domain.money import ZERO
from core.engine.live.conversions import Conversion
from core.risk.gate import Gate
from core.risk.pairs import promise, release

#: How long the venue's balance may go on showing pairs that are merged: it is read through a cache.
SHOWN_S = 60.0


@dataclass(slots=True, eq=False)
class Leaving:
    """Pairs of a call whose end we have not heard, and what of them each owner has promised (gate units)."""

    pairs: Conversion
    call_id: str = ""
    promised: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class Passage:
    """Everything on its way, and what has arrived so recently that the venue may not show it.

    `paying` holds dollars by market of winners that the gate does not count yet.
    """

    leaving: list[Leaving] = field(default_factory=list)
    arrived: list[tuple[int, Conversion]] = field(default_factory=list)
    paying: dict[str, Decimal] = field(default_factory=dict)
    paid: list[tuple[int, Decimal]] = field(default_factory=list)
    booked: int = 0

    def begin(self, gate: Gate, pairs: Conversion, call_id: str = "") -> Leaving:
        """Promise pairs to a call, so that no sale takes them meanwhile."""
        one = Leaving(pairs, call_id, promise(gate, pairs.instrument_ids, pairs.quantity))
        self.leaving.append(one)
        return one

    def end(self, gate: Gate, one: Leaving) -> None:
        """Give back what is promised: the call has ended, or has not left."""
        self.leaving.remove(one)
        release(gate, one.pairs.instrument_ids, one.promised)

    def arrive(self, pairs: Conversion, now_ns: int) -> None:
        """Note that pairs are booked as dollars."""
        self.booked += 1
        self.arrived.append((now_ns + int(SHOWN_S * 1e9), pairs))

    def pay(self, market_id: str, now_ns: int) -> Decimal:
        """Note that a winner's dollars are booked; return them, nothing when the gate had them before."""
        dollars = self.paying.pop(market_id, ZERO)
        self.booked += 1
        self.paid.append((now_ns + int(SHOWN_S * 1e9), dollars))
        return dollars

    def fewer(self, instrument_id: str) -> Decimal:
        """Return shares that the venue may have given away already."""
        found = (x.pairs for x in self.leaving)
        return sum((p.quantity for p in found if instrument_id in p.instrument_ids), ZERO)

    def more(self, instrument_id: str, now_ns: int) -> Decimal:
        """Return shares that the venue may still show."""
        found = self._recent(now_ns)
        return sum((p.quantity for p in found if instrument_id in p.instrument_ids), ZERO)

    def dollars_early(self) -> Decimal:
        """Return dollars that the venue may have already."""
        return sum((x.pairs.quantity for x in self.leaving), ZERO) + sum(self.paying.values(), ZERO)

    def dollars_late(self, now_ns: int) -> Decimal:
        """Return dollars that the venue may not show yet."""
        self.paid = [(until, dollars) for until, dollars in self.paid if until > now_ns]
        late = sum((dollars for _, dollars in self.paid), ZERO)
        return late + sum((p.quantity for p in self._recent(now_ns)), ZERO)

    def _recent(self, now_ns: int) -> list[Conversion]:
        self.arrived = [(until, p) for until, p in self.arrived if until > now_ns]
        return [p for _, p in self.arrived]
