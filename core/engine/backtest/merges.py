"""In a replay of a node's run: pairs of YES and NO become dollars when the node turned them into dollars.

A backtest merges a pair at the fill that completes it. A node does so a minute later, and until then holds, values and may sell both
legs. Here the gate alone merges, at the recorded place. The engine keeps its legs until the settlement pays them a dollar together;
so that it denies no order for which the gate has money, it is lent the dollars of all merges from the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial

from core.domain.money import ONE, ZERO
from core.engine.arrivals import Merge, strategy_key
from core.engine.session import Session
from core.engine.venues import Venue


class RecordedMerges:
    """Merges of a recorded run at the venues that do not net by themselves.

    Parameters
    ----------
    merges : sequence of Merge
    """

    def __init__(self, merges: Sequence[Merge], session: Session) -> None:
        self._merges, self._session = merges, session
        self._done: dict[str, Decimal] = {}

    def lent(self, code: str) -> Decimal:
        """Return dollars that the engine has at a venue beside the capital."""
        refs = self._session.references.by_iid
        known = (m for m in self._merges if all(iid in refs for iid in m.instrument_ids))
        return sum((m.quantity for m in known if refs[m.instrument_ids[0]].venue == code), ZERO)

    def ahead(self, code: str) -> Decimal:
        """Return dollars that the gate has and the engine has not yet: of merged pairs that are not paid out."""
        owed, payouts = ZERO, self._session.payouts
        for iid, pairs in self._done.items():
            ref = self._session.references.by_iid[iid]
            if ref.venue == code and ref.opposite is not None:
                paid = payouts.get(iid, ZERO) + payouts.get(ref.opposite.iid, ZERO)
                owed += pairs * (ONE - paid)
        return owed

    def schedule(self) -> None:
        """Wait for the place of each merge."""
        own = self._session.own_news
        assert own is not None, "a replay of a run"
        for one in self._merges:
            own.hold(one.place, partial(self._merge, one))

    def _merge(self, one: Merge) -> None:
        """Merge what the strategy holds of the pairs: another run than the recorded one may hold fewer."""
        session, now_ns = self._session, self._session.now_ns()
        ref = session.references.by_iid.get(one.instrument_ids[0])
        if ref is None or any(iid in session.payouts for iid in one.instrument_ids):
            return
        for strategy in session.strategies:
            sid = strategy._bt_sid
            held = [session.gate.position(sid, iid) for iid in one.instrument_ids]
            pairs = min(one.quantity, *held)
            if strategy_key(sid) == one.strategy and pairs > 0:
                session.gate.on_merge(sid, ref.market.market_id, pairs, now_ns)
                session.journal.merge(sid, ref, pairs, now_ns)
                self._done[ref.iid] = self._done.get(ref.iid, ZERO) + pairs


def recorded_merges(
    merges: Sequence[Merge] | None, venues: Mapping[str, Venue], session: Session
) -> RecordedMerges | None:
    """Return the merges of a recorded run; None in a run that merges at the fill, or whose venues do not merge."""
    if merges is None or not any(merges_late(v) for v in venues.values()):
        return None
    return RecordedMerges(merges, session)


def merges_late(venue: Venue) -> bool:
    """Return whether pairs wait for somebody who asks for their dollars."""
    return venue.merge_pairs and not venue.nets_outcomes
