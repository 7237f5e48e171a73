"""Whether a purchase could pass now at all: the gate's own first checks, for a strategy that wants to know before it asks."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from core.domain.decision import OrderIntent, TimeInForce
from core.domain.fees import Side
from core.risk.breaker import BreakerState
from core.risk.checks import Draft, standing
from core.risk.intake import Intake
from core.risk.record import results
from core.risk.verdict import Code, MarketView
from core.risk.working import WorkingOrder


class Barred(NamedTuple):
    """Why no purchase passes, whatever its price and size.

    Attributes
    ----------
    code : str
        The code that the gate would refuse with (`core.risk.verdict.Code`).
    reason : str
        What the gate saw.
    until_ns : int
        When it ends by itself; 0 when nobody can say.
    """

    code: str
    reason: str
    until_ns: int


def barred(gate: Intake, strategy_id: str, instrument_id: str, now_ns: int) -> Barred | None:
    """Return why `strategy_id` may not buy `instrument_id` at `now_ns`; None when it may ask.

    Halts, cool-downs, the breaker, the phase of the fund, the state of the market: everything that the
    gate looks at before it looks at the order itself. Nothing is counted, reserved or recorded.
    """
    rules = gate.rules.get(instrument_id)
    if rules is None:
        return Barred(Code.UNKNOWN_INSTRUMENT, instrument_id, 0)
    one = Decimal(1)
    intent = OrderIntent(
        "", strategy_id, rules.venue_code, instrument_id, rules.market_id, rules.event_id,
        Side.BUY, one, None, TimeInForce.IOC, now_ns,
    )  # fmt: skip
    draft = Draft(intent, MarketView(now_ns), WorkingOrder(intent, True, now_ns))
    code = standing(gate, draft)
    if not code:
        return None
    return Barred(code, results(draft.raw)[-1].value, _end(gate, code, strategy_id, instrument_id))


def _end(gate: Intake, code: str, strategy_id: str, instrument_id: str) -> int:
    """Return when what `code` names ends by itself."""
    market_id = gate.rules[instrument_id].market_id
    governor, breaker = gate.governor, gate.breaker
    if code == Code.COOL_DOWN:
        pause = governor.paused_until.get(strategy_id, 0)
        return max(pause, governor.barred_until.get((strategy_id, market_id), 0))
    if code == Code.BREAKER_OPEN:
        whole = breaker.open_until_ns if breaker.state is BreakerState.OPEN else 0
        return whole or breaker.barred_until.get(market_id, 0)
    return 0
