"""Pairs that become dollars while a node runs, or dollars that become pairs.

A venue that nets YES against NO (Kalshi) does so itself when a fill leaves the account with both: two orders on opposite
sides that were on their way together, or a trade by hand. It is booked with that fill (`netting`).

Elsewhere the owner of the account merges and splits at the venue. Shares of both outcomes go and as many dollars come: that
is no error of either book. It is known by this alone, since the venue tells no order of it, and booked as what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from core.domain.money import ZERO
from core.engine.live.netting import Part, parts_of, write
from core.ledger.kinds import PositionsSplit
from core.risk.gate import Gate
from core.risk.pairs import owners_of
from core.risk.units import shares

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient
    from core.engine.live.context import LiveContext
    from core.engine.live.port import VenueFill


@dataclass(frozen=True, slots=True)
class Conversion:
    """Pairs of one market that became dollars; a negative quantity is dollars that became pairs."""

    market_id: str
    instrument_ids: tuple[str, str]
    quantity: Decimal


def conversions(
    gate: Gate, lacking: Mapping[str, Decimal], cash: Decimal, slack: Decimal, dust: Decimal
) -> list[Conversion]:
    """Return the merges and splits that explain everything that differs; none when anything is left over.

    Parameters
    ----------
    lacking : mapping of str to Decimal
        Shares that the venue has fewer of than we, by instrument.
    cash : Decimal
        Dollars that the venue has fewer of than we.
    slack, dust : Decimal
        What roundings of cash and of shares come to.
    """
    out: list[Conversion] = []
    left = dict(lacking)
    while left:
        iid, quantity = left.popitem()
        rules = gate.rules.get(iid)
        other = left.pop(rules.opposite_id, None) if rules is not None else None
        if rules is None or other is None or rules.venue.nets_outcomes:
            return []
        if abs(other - quantity) > dust or (quantity > 0) != (other > 0):
            return []
        both = min(quantity, other, key=abs)
        if both > _pairs(gate, iid, rules.opposite_id):
            return []
        first, second = sorted((iid, rules.opposite_id))
        out.append(Conversion(rules.market_id, (first, second), both))
    moved = sum((c.quantity for c in out), ZERO)
    return out if abs(cash + moved) <= slack + dust * len(out) else []


def net_after(client: VenueClient, fill: VenueFill) -> None:
    """Book the pairs that a fill, booked and written, has completed at a venue that nets: they are dollars already."""
    now_ns = client.clock.timestamp_ns()
    net(client.context, client.gate, client.port.venue, fill.instrument_id, fill.price, now_ns)


def net_away(client: VenueClient, fill: VenueFill, owner: str) -> None:
    """Book what a fill from while no node ran has netted. A gate that began after it has begun with the dollars."""
    context, now_ns = client.context, client.clock.timestamp_ns()
    parts: list[Part] = []
    if context.shares is not None:
        parts = context.shares.fill(owner, fill.instrument_id, fill.signed, fill.price)
    if fill.trade_id in (context.adopted or ()):
        _written(context, client.port.venue, parts, now_ns)
    else:
        net_after(client, fill)


def net(
    context: LiveContext,
    gate: Gate,
    venue: str,
    instrument_id: str,
    price: Decimal,
    now_ns: int,
) -> None:
    """Book pairs in the market of a fill at this price, whoever's the shares are."""
    rules, held = gate.rules.get(instrument_id), gate.book.held
    if rules is None or not rules.nets_outcomes or held.get(rules.opposite_id, 0) <= 0:
        return
    first, second = sorted((instrument_id, rules.opposite_id))
    mine = {k: shares(h.quantity) for k, h in gate.book.holdings.items() if k[1] in (first, second)}
    parts = parts_of(mine, (first, second), (instrument_id, price))
    _book(context, gate, venue, rules.market_id, parts, now_ns)


def _book(
    context: LiveContext, gate: Gate, venue: str, market_id: str, parts: list[Part], now_ns: int
) -> None:
    """Tell the gate, then the ledger."""
    for part in parts:
        if len(part.instrument_ids) > 1:
            gate.on_merge(part.strategy_id, market_id, part.quantity, now_ns)
        else:
            (iid,) = part.instrument_ids
            gate.on_netted(part.strategy_id, iid, part.quantity, part.proceeds, now_ns)
    _written(context, venue, parts, now_ns)


def _written(context: LiveContext, venue: str, parts: list[Part], now_ns: int) -> None:
    causes = context.causes
    last = write(
        context.ledger, parts, causes.fills, tuple(filter(None, (causes.source,))), venue=venue,
        currency=context.currency, ts_ns=now_ns,
    )  # fmt: skip
    causes.money = last or causes.money


def _held(gate: Gate, strategy_id: str, iids: tuple[str, str]) -> Decimal:
    """Return how many pairs a strategy holds."""
    found = [gate.book.holdings.get((strategy_id, iid)) for iid in iids]
    return min((shares(h.quantity) if h is not None else ZERO for h in found), default=ZERO)


def _pairs(gate: Gate, *iids: str) -> Decimal:
    first, second = iids
    both = first, second
    return sum((_held(gate, owner, both) for owner in owners_of(gate, both)), ZERO)


def book(context: LiveContext, gate: Gate, venue: str, one: Conversion, now_ns: int) -> None:
    """Tell the gate and the ledger: pairs of a merge are taken from their owners in the order of their names."""
    if one.quantity < 0:
        owner = context.owner_of(one.instrument_ids[0], "")
        gate.on_split(owner, one.market_id, -one.quantity, now_ns)
        context.causes.money = context.ledger.append(
            PositionsSplit(
                venue=venue, instrument_ids=one.instrument_ids, quantity=-one.quantity,
                cost=-one.quantity, currency=context.currency, strategy_id=owner,
            ),
            ts_event=now_ns, parents=context.causes.of_holding(owner, one.instrument_ids),
        )  # fmt: skip
        return
    left = one.quantity
    for owner in owners_of(gate, one.instrument_ids):
        part = min(left, _held(gate, owner, one.instrument_ids))
        left -= part
        if part > 0:
            book_merge(context, gate, venue, one, owner, part, now_ns)


def book_merge(
    context: LiveContext,
    gate: Gate,
    venue: str,
    one: Conversion,
    owner: str,
    part: Decimal,
    now_ns: int,
) -> None:
    """Tell the gate and the ledger that `part` of the pairs, a strategy's, are dollars now."""
    merged = Part(owner, one.instrument_ids, part, part)
    _book(context, gate, venue, one.market_id, [merged], now_ns)
    if context.causes.hearing is not None:
        context.causes.hearing.at_once(context.causes.money)


def write_merge(
    context: LiveContext, venue: str, one: Conversion, owner: str, part: Decimal, now_ns: int
) -> None:
    """Write the row of pairs of a strategy that are dollars now."""
    _written(context, venue, [Part(owner, one.instrument_ids, part, part)], now_ns)
