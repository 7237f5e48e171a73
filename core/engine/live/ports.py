"""The private side that a node trades on: the venue's own, or an account of our own over its market."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.domain.market import Market
from core.engine.live.memory import LedgerMemory
from core.engine.live.port import VenuePort
from core.engine.live.venue import LiveVenue
from core.engine.paper.port import PaperPort
from core.engine.paper.store import PaperStore
from core.engine.venues import load_venue
from core.ledger.kinds import RunMode

if TYPE_CHECKING:
    from core.engine.live.node import NodeSpec


def node_port(
    spec: NodeSpec, venue: LiveVenue, markets: Sequence[Market], memory: LedgerMemory
) -> VenuePort:
    """Return the port of a node that remembers earlier runs."""
    if spec.mode is RunMode.LIVE:
        return venue.port(memory.instruments, memory.sent)
    rules = load_venue(venue.code)
    port = PaperPort(
        venue.code,
        rules.fee_book(),
        PaperStore(spec.home / "paper.sqlite"),
        time.time_ns,
        capital=spec.capital,
        netted=rules.nets_outcomes,
        latency_s=spec.latency_s,
    )
    for market in markets:
        port.on_market(market)
    return port
