"""What a node finds at the venue when it starts: nothing may work, and the gate must hold what is held.

Markets that an earlier run barred stay barred.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from core.domain.errors import ConfigError
from core.domain.market import Market
from core.engine.live.memory import LedgerMemory
from core.engine.live.port import VenuePort
from core.risk.gate import Gate

HALF = Decimal("0.5")


async def adopt(
    port: VenuePort, gate: Gate, markets: Sequence[Market], memory: LedgerMemory, owner: str
) -> None:
    """Cancel what works, then fill the gate with the venue's cash and holdings.

    Parameters
    ----------
    owner : str
        Strategy that gets what no earlier run has bought.

    Raises
    ------
    ConfigError
        If orders of an earlier run cannot be cancelled: trading on top of them would double them.
    """
    left = await port.cancel_everything()
    if left:
        raise ConfigError(
            "working orders of an earlier run could not be cancelled",
            left[:5],
            "beta risk liquidate",
        )
    for market_id, why in memory.barred.items():
        gate.on_barred(market_id, why)
    cash = await port.cash()
    gate.on_cash(port.venue, cash.total)
    known = {o.instrument_id for m in markets for o in m.outcomes}
    for held in await port.positions():
        if held.instrument_id in known:
            average = held.average_price if held.average_price is not None else HALF
            whose = memory.last_owner.get(held.instrument_id, owner)
            gate.on_position(whose, held.instrument_id, held.quantity, average)
