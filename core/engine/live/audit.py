"""The gate's holdings and cash beside the venue's own, again and again while the node runs.

Compared is only what was read at rest: nothing in flight, no news and no new trade between the first read and the
last. What may differ for a while is allowed for: markets past their close (the venue pays out before or after we
hear of it), payouts not yet credited (or not yet redeemed), and the hundredth of a share that each fill can leave.

==========================  ===========================================================================
seen                        done
==========================  ===========================================================================
shares or cash differ       a row, and it counts in the arbitrage breaker; looked at again soon
the same, `LOOKS` in a row  a row, and trading halts: one of the two books is wrong
pairs became dollars        the same row, then booked as the owner's own merge (or split) at the venue
our own merge on its way    allowed for until its end is known and shown (`Passage`)
more cash, equal shares     the same row, then booked as a transfer: a deposit, a reward, interest
equal                       all forgotten
==========================  ===========================================================================
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from core.domain.errors import VenueRefused, VenueUncertain
from core.domain.market import MarketStatus
from core.domain.money import ZERO
from core.engine.live.conversions import Conversion, book, conversions
from core.engine.live.port import VenueCash, VenuePosition
from core.ledger.kinds import AccountDiffers, Transferred
from core.risk.units import shares

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient

EVERY_S, CONFIRM_S, LOOKS = 30.0, 6.0, 4
CASH = "cash"
#: What roundings of the venue's statement and of fees may come to: a cent, and a little for each fill.
CENT, FEE_STEP = Decimal("0.01"), Decimal("0.0001")
QUIET_S = 5.0


@dataclass(frozen=True, slots=True)
class Difference:
    """What is held here and there of one instrument, or of cash."""

    subject: str
    here: Decimal
    there: Decimal

    def __str__(self) -> str:
        """Return it for a line."""
        return f"{self.subject} {self.here} here, {self.there} at the venue"


class Audit:
    """Compares, counts, and halts on what lasts.

    Parameters
    ----------
    client : VenueClient
    every_s, confirm_s : float
        Pause between two looks: usually, and while something differs.

    Attributes
    ----------
    looks : int
        Comparisons made at rest.
    """

    def __init__(
        self, client: VenueClient, every_s: float = EVERY_S, confirm_s: float = CONFIRM_S
    ) -> None:
        self._client, self._every_s, self._confirm_s = client, every_s, confirm_s
        self._seen: Counter[str] = Counter()
        self._owed = self._paid_before = ZERO
        self.looks = self._converting = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(
                self._confirm_s if self._seen or self._converting else self._every_s
            )
            found = await self.look()
            if found is not None:
                self._judge(found)

    async def look(self) -> list[Difference] | None:
        """Compare once; None when the account was moving, or could not be read."""
        client, port = self._client, self._client.port
        for _ in range(int(QUIET_S / 0.05)):
            if not self._moving():
                break
            await asyncio.sleep(0.05)
        since = max(client.context.since_ns(client.clock.timestamp_ns()), 0)
        try:
            trades = await port.fills(since)
            for fill in trades:
                client.on_fill(fill)
            before = self._stamp()
            cash, positions = await port.cash(), await port.positions()
            after = {f.trade_id for f in await port.fills(since)}
        except (VenueRefused, VenueUncertain):
            return None
        if self._moving() or self._stamp() != before or not after <= {f.trade_id for f in trades}:
            return None
        self.looks += 1
        return [*self._shares(positions), *self._cash(cash)]

    def _moving(self) -> bool:
        client = self._client
        return client.in_flight or bool(client.changes.open) or client.strangers.waiting

    def _stamp(self) -> tuple[int, Decimal, int]:
        return self._client.heard, self._paid(), self._client.context.passage.booked

    def _paid(self) -> Decimal:
        """Return what the gate has been paid out by settlements."""
        return self._client.gate.paid_out(self._client.port.venue)

    def _open(self, instrument_id: str) -> bool:
        """Return whether both books must agree on this instrument now."""
        client = self._client
        rules = client.gate.rules.get(instrument_id)
        if rules is None or instrument_id in client.context.resolved:
            return False
        status = rules.state.status
        if status is MarketStatus.RESOLVED or status is MarketStatus.CLOSED:
            return False
        close_ns = rules.state.close_ns
        return not close_ns or client.clock.timestamp_ns() < close_ns

    def _held(self) -> dict[str, Decimal]:
        return {iid: shares(size) for iid, size in self._client.gate.book.held.items() if size}

    def _shares(self, positions: list[VenuePosition]) -> list[Difference]:
        here, there = self._held(), {p.instrument_id: p.quantity for p in positions}
        out, passage, now = [], self._client.context.passage, self._client.clock.timestamp_ns()
        for iid in sorted(here.keys() | there.keys()):
            ours, theirs = here.get(iid, ZERO), there.get(iid, ZERO)
            dust = self._client.port.share_dust * (self._client.booked[iid] + 1)
            least, most = ours - passage.fewer(iid), ours + passage.more(iid, now)
            if self._open(iid) and not least - dust <= theirs <= most + dust:
                out.append(Difference(iid, ours, theirs))
        return out

    def _cash(self, cash: VenueCash) -> list[Difference]:
        """Compare cash, less what settlements still owe us and what closed markets may have paid already."""
        client = self._client
        self._owed += self._paid() - self._paid_before
        self._paid_before = self._paid()
        here, there = client.gate.cash(client.port.venue), cash.settled
        slack = CENT + FEE_STEP * client.booked.total()
        early = sum((q for iid, q in self._held().items() if not self._open(iid)), ZERO)
        passage, lacking = client.context.passage, here - there
        early += passage.dollars_early()
        late = passage.dollars_late(client.clock.timestamp_ns())
        if -slack - early <= lacking <= slack + self._owed + late:
            self._owed = min(self._owed, max(lacking, ZERO))
            return []
        return [Difference(CASH, here, there)]

    def _judge(self, found: list[Difference]) -> None:
        """Write what is new, and act on what lasts."""
        converted = self._converted(found)
        self._converting = self._converting + 1 if converted else 0
        if converted:
            self._convert(found, converted)
            return
        names = {d.subject for d in found}
        for subject in set(self._seen) - names:
            del self._seen[subject]
        for difference in found:
            self._seen[difference.subject] += 1
            times = self._seen[difference.subject]
            if times == 1:
                self._row(difference, "looked at again")
                self._client.gate.on_difference(
                    "" if difference.subject == CASH else difference.subject,
                    str(difference),
                    self._client.clock.timestamp_ns(),
                )
            elif times == LOOKS:
                self._lasting(difference, alone=len(found) == 1)

    def _converted(self, found: list[Difference]) -> list[Conversion]:
        """Return the merges and splits that all of it comes from."""
        client = self._client
        lacking = {d.subject: d.here - d.there for d in found}
        cash = lacking.pop(CASH, ZERO)
        slack = CENT + FEE_STEP * client.booked.total()
        dust = client.port.share_dust * (client.booked.total() + 1)
        return conversions(client.gate, lacking, cash, slack, dust)

    def _convert(self, found: list[Difference], converted: list[Conversion]) -> None:
        """Book what the owner of the account did at the venue, once it has lasted."""
        if self._converting not in (1, LOOKS):
            return
        last = self._converting == LOOKS
        for difference in found:
            self._row(difference, "booked as a merge or split" if last else "looked at again")
        if last:
            self._seen.clear()
            self._converting = 0
            client = self._client
            for one in converted:
                book(client.context, client.gate, client.port.venue, one, client.clock.timestamp_ns())  # fmt: skip

    def _lasting(self, difference: Difference, *, alone: bool) -> None:
        client = self._client
        more = difference.there - difference.here
        if difference.subject == CASH and alone and more > 0:
            seen = self._row(difference, "booked as a transfer")
            client.gate.on_transfer(client.port.venue, more)
            row = Transferred(
                venue=client.port.venue, currency=client.context.currency, amount=more,
                reference="found at the venue: deposit, reward, rebate or interest",
            )  # fmt: skip
            client.context.ledger.append(row, ts_event=client.clock.timestamp_ns(), parents=(seen,))
            return
        seen = self._row(difference, "trading halted")
        why = (
            f"the account differs from the books: {difference}; compare them, then restart the node"
        )
        client.context.halt(why, seen)

    def _row(self, difference: Difference, action: str) -> int:
        client = self._client
        row = AccountDiffers(
            venue=client.port.venue, subject=difference.subject, here=difference.here,
            there=difference.there, action=action,
        )  # fmt: skip
        return client.context.ledger.append(row, ts_event=client.clock.timestamp_ns())
