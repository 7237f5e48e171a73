"""The promotion gate: a challenger replaces the champion only where it is better on the same windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from signals.errors import ForecastInputError
from signals.probability.bootstrap import Interval, mean_interval
from signals.probability.scores import checked

Floats = NDArray[np.float64]
MINIMUM_EVENTS = 30


class PromotionRow(BaseModel):
    """
    One decision of the gate, as it is stored: numbers, verdict and every reason.

    `brier_*` is challenger minus champion (negative is better) with its 95 % event-bootstrap
    interval; `sharpe_*` are means over standard deviations of P&L per event (not annualised).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    champion: str
    challenger: str
    decided_ns: int
    window_start_ns: int
    window_end_ns: int
    rows: int
    events: int
    brier_champion: float
    brier_challenger: float
    brier_gain: float
    brier_gain_low: float
    brier_gain_high: float
    sharpe_champion: float
    sharpe_challenger: float
    pnl_champion_usd: float
    pnl_challenger_usd: float
    promoted: bool
    reasons: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Say the decision in one line."""
        verb = "replaces" if self.promoted else "does not replace"
        return f"{self.challenger} {verb} {self.champion}: {'; '.join(self.reasons)}"


@dataclass(frozen=True)
class Windows:
    """The rows on which both are judged, each array [N]: neither model saw any of them."""

    price: Floats
    outcome: Floats
    event: NDArray[np.int64]
    decided_ns: NDArray[np.int64]
    label_end_ns: NDArray[np.int64]


def event_pnl(
    probability: ArrayLike, windows: Windows, *, cost: float = 0.02, edge: float = 0.03
) -> Floats:
    """
    Profit in dollars per event of one share bought wherever the edge after cost is large enough.

    Parameters
    ----------
    cost
        Dollars per share paid above the mid: half the spread, fee and slippage.
    edge
        Least expected dollars per share after `cost` for which a share is bought.

    Notes
    -----
    YES is bought at price + cost, or NO at 1 - price + cost; both are held to resolution. An
    event with no trade counts as 0, so that a model cannot look steady by hardly trading.
    """
    p, y = checked(probability, windows.outcome)
    yes = p - windows.price - cost >= edge
    no = windows.price - p - cost >= edge
    pnl = np.where(yes, y - windows.price - cost, 0.0)
    pnl = np.where(no, (1.0 - y) - (1.0 - windows.price) - cost, pnl)
    codes = np.unique(windows.event, return_inverse=True)[1]
    return np.bincount(codes, weights=pnl)


def sharpe(pnl: ArrayLike) -> float:
    """Mean over sample deviation of P&L per event; 0 when nothing was traded."""
    values = np.asarray(pnl, dtype=np.float64)
    deviation = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return float(values.mean()) / deviation if deviation > 0 else 0.0


def decide(
    champion: tuple[str, ArrayLike],
    challenger: tuple[str, ArrayLike],
    windows: Windows,
    *,
    now_ns: int,
    cost: float = 0.02,
    edge: float = 0.03,
) -> PromotionRow:
    """
    Compare two forecasters on the same windows and decide.

    The challenger wins only if its Brier score is better with an event-bootstrap interval that
    excludes zero, its risk-adjusted return is higher and positive, and at least 30 events were
    seen. Every condition that fails is named.

    Raises
    ------
    ForecastInputError
        When the forecasts do not belong to the windows.
    """
    old, new = (np.asarray(v, dtype=np.float64) for v in (champion[1], challenger[1]))
    if old.shape != windows.price.shape or new.shape != windows.price.shape:
        raise ForecastInputError(
            "both forecasters must be scored on the same windows",
            seen=f"{old.shape}, {new.shape}, windows {windows.price.shape}",
            mend="forecast every row of the windows with both",
        )
    y = windows.outcome
    gain = mean_interval((new - y) ** 2 - (old - y) ** 2, windows.event)
    events = int(np.unique(windows.event).size)
    pnl_old = event_pnl(old, windows, cost=cost, edge=edge)
    pnl_new = event_pnl(new, windows, cost=cost, edge=edge)
    against = _objections(gain, sharpe(pnl_old), sharpe(pnl_new), events)
    return PromotionRow(
        champion=champion[0],
        challenger=challenger[0],
        decided_ns=now_ns,
        window_start_ns=int(windows.decided_ns.min()),
        window_end_ns=int(windows.label_end_ns.max()),
        rows=int(y.size),
        events=events,
        brier_champion=float(((old - y) ** 2).mean()),
        brier_challenger=float(((new - y) ** 2).mean()),
        brier_gain=gain.value,
        brier_gain_low=gain.low,
        brier_gain_high=gain.high,
        sharpe_champion=sharpe(pnl_old),
        sharpe_challenger=sharpe(pnl_new),
        pnl_champion_usd=float(pnl_old.sum()),
        pnl_challenger_usd=float(pnl_new.sum()),
        promoted=not against,
        reasons=tuple(against)
        or (
            f"Brier better by {-gain.value:.4f} [{-gain.high:.4f}, {-gain.low:.4f}] "
            f"and risk-adjusted return {sharpe(pnl_new):.3f} over {sharpe(pnl_old):.3f}",
        ),
    )


def _objections(gain: Interval, old: float, new: float, events: int) -> list[str]:
    out = []
    if events < MINIMUM_EVENTS:
        out.append(f"only {events} events, {MINIMUM_EVENTS} needed")
    if gain.high >= 0.0:
        out.append(
            f"no evidence of a better Brier score: {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
        )
    if new <= old:
        out.append(f"risk-adjusted return {new:.3f} is not above {old:.3f}")
    elif new <= 0.0:
        out.append(f"risk-adjusted return {new:.3f} is not positive")
    return out
