"""Governors: slow down after losses, stop after large ones, and start again when it is time.

Everything is a function of the equity, the results and the times that are fed in. Shares of equity are
billionths, money is 1e-18 dollar (`core.risk.units`). Deposits and withdrawals are neither profit nor
loss: what is judged is equity less everything ever transferred.
"""

from __future__ import annotations

from collections import deque

from core.domain.clock import NS_PER_DAY, NS_PER_SECOND
from core.risk.limits import Limits
from core.risk.states import (
    POSTURE_TRANSITIONS,
    SEVERITY,
    Holds,
    Posture,
    RiskEvent,
    TradingState,
    Trigger,
)
from core.risk.units import NANO, dollars, nanos_of

NS_PER_MINUTE = 60 * NS_PER_SECOND
NS_PER_HOUR = 3_600 * NS_PER_SECOND
DAILY_LOSS, DRAWDOWN, POSTURE = "daily_loss", "drawdown", "posture"
_RANK = {posture: rank for rank, posture in enumerate(Posture)}


def fraction(value: object) -> int:
    """Return a share or factor of the limits in billionths."""
    number = nanos_of(value)  # type: ignore[arg-type]
    assert number is not None, value  # limits are finite; more than 9 decimals are refused there
    return number


class Governor:
    """Daily loss, drawdown, losing streaks, stop-outs, volatility and the posture they lead to.

    Parameters
    ----------
    limits : Limits
    holds : Holds
        Where the governor holds trading back.
    events : list of RiskEvent
        Where each move is recorded.
    """

    def __init__(self, limits: Limits, holds: Holds, events: list[RiskEvent]) -> None:
        self._holds = holds
        self._events = events
        self.posture = Posture(limits.posture.start)
        self.day = -1
        self._day_profit = 0
        self._peaks: deque[tuple[int, int]] = deque()
        self._profit = 0
        self._soft = False
        self._calm_since_ns = 0
        self.streaks: dict[str, int] = {}
        self.paused_until: dict[str, int] = {}
        self.barred_until: dict[tuple[str, str], int] = {}
        self.volatile: set[str] = set()
        self._stir()
        self.set_limits(limits)

    def set_limits(self, limits: Limits) -> None:
        """Take over changed limits from here on."""
        self._stir()
        g, p = limits.governors, limits.posture
        self._limits = g
        self._start = Posture(p.start)
        self._factors = {
            Posture.AGGRESSIVE: fraction(p.aggressive),
            Posture.BALANCED: fraction(p.balanced),
            Posture.DEFENSIVE: fraction(p.defensive),
            Posture.HALT: 0,
        }
        self._daily, self._hard = fraction(g.daily_loss), fraction(g.drawdown)
        self._soft_limit = fraction(g.soft_drawdown)
        self._window_ns = g.drawdown_window_h * NS_PER_HOUR
        self._volatility = fraction(g.volatility_factor)
        #: Whether high volatility changes anything under these limits.
        self.minds_volatility = self._volatility < NANO
        #: What the posture leaves of a limit, in billionths.
        self.left = self._factors[self.posture]

    # -- equity -------------------------------------------------------------------------------------

    def observe(self, now_ns: int, equity: int, transferred: int) -> None:
        """Judge equity at `now_ns`. Call it often: before each review, on fills and on a timer."""
        profit = equity - transferred
        if (
            self._quiet_ns <= now_ns < self._quiet_until_ns
            and self._quiet_low < profit < self._quiet_high
            and transferred == self._quiet_transferred
        ):
            self._profit = profit
            return
        day = now_ns // NS_PER_DAY
        if day > self.day:
            self._new_day(day, profit, now_ns)
        self._profit = profit
        lost = self._day_profit - profit
        if lost > 0 and lost * NANO >= self._daily * (transferred + self._day_profit):
            self._daily_loss(lost, now_ns)
        self._drawdown(now_ns, profit, transferred)
        if self.posture is not self._start:
            self._calm(now_ns)
        else:
            self._settle(now_ns, transferred)

    def _stir(self) -> None:
        """Judge equity anew at its next look, whatever it is."""
        self._quiet_ns = self._quiet_until_ns = self._quiet_transferred = 0
        self._quiet_low = self._quiet_high = 0

    def _settle(self, now_ns: int, transferred: int) -> None:
        """Note between which profits nothing can happen before the minute is over.

        Below the newest maximum, of this minute, nothing is recorded; above both limits of loss nothing
        is breached, and what has no soft drawdown gets none.
        """
        minute, newest = self._peaks[-1]
        if self._soft or minute != now_ns // NS_PER_MINUTE:
            self._quiet_until_ns = 0
            return
        peak = self._peaks[0][1]
        limit = min(self._soft_limit, self._hard) * max(1, peak + transferred)
        daily = self._daily * (transferred + self._day_profit)
        self._quiet_low = max(peak - limit // NANO, self._day_profit - max(0, daily) // NANO)
        self._quiet_high, self._quiet_transferred = newest, transferred
        self._quiet_ns, self._quiet_until_ns = now_ns, (minute + 1) * NS_PER_MINUTE

    def _new_day(self, day: int, profit: int, now_ns: int) -> None:
        """Start the day's account from the last profit seen before it; yesterday's loss is over."""
        first = self.day < 0
        self.day = day
        self._day_profit = profit if first else self._profit
        if DAILY_LOSS in self._holds.sources:
            self._holds.put(DAILY_LOSS, TradingState.RUNNING, "a new day (UTC)", now_ns)

    def _daily_loss(self, lost: int, now_ns: int) -> None:
        if DAILY_LOSS in self._holds.sources:
            return
        reason = f"lost {dollars(lost)} since 00:00 UTC"
        self._holds.put(DAILY_LOSS, TradingState.REDUCE_ONLY, reason, now_ns)
        self._move(Trigger.BREACH, reason, now_ns)

    def _drawdown(self, now_ns: int, profit: int, transferred: int) -> None:
        """Compare with the highest profit of the window (a falling queue of minute maxima)."""
        peaks, minute = self._peaks, now_ns // NS_PER_MINUTE
        while peaks and peaks[-1][1] <= profit:
            peaks.pop()
        if not peaks or peaks[-1][0] != minute:
            peaks.append((minute, profit))
        oldest = (now_ns - self._window_ns) // NS_PER_MINUTE
        while peaks[0][0] < oldest:
            peaks.popleft()
        peak = peaks[0][1]
        fall = (peak - profit) * NANO
        if not fall:
            self._soft = False
            return
        top = max(1, peak + transferred)
        if fall >= self._hard * top and DRAWDOWN not in self._holds.sources:
            reason = f"fell {dollars(peak - profit)} from the top of the window"
            self._holds.put(DRAWDOWN, TradingState.LIQUIDATING, reason, now_ns)
            self._move(Trigger.KILL, reason, now_ns)
        if fall >= self._soft_limit * top:
            if not self._soft:
                self._soft = True
                self._move(Trigger.BREACH, f"fell {dollars(peak - profit)}", now_ns)
        elif fall * 2 < self._soft_limit * top:
            self._soft = False

    # -- posture ------------------------------------------------------------------------------------

    def _move(self, trigger: Trigger, reason: str, now_ns: int) -> None:
        after = POSTURE_TRANSITIONS.get((self.posture, trigger))
        self._stir()
        self._calm_since_ns = now_ns
        if after is None:
            return
        self._events.append(RiskEvent(now_ns, "posture", trigger, self.posture, after, reason))
        self.posture = after
        self.left = self._factors[after]
        if after is Posture.HALT and DRAWDOWN not in self._holds.sources:
            self._holds.put(POSTURE, TradingState.REDUCE_ONLY, reason, now_ns)

    def _calm(self, now_ns: int) -> None:
        """Step up after a time without a breach, never above where the profile starts."""
        if now_ns - self._calm_since_ns < self._limits.recover_h * NS_PER_HOUR or self._soft:
            return
        if _RANK[self.posture] > _RANK[self._start]:
            self._move(Trigger.CALM, f"no breach for {self._limits.recover_h} h", now_ns)

    def resume(self, now_ns: int) -> None:
        """Start again by the operator's word: baselines begin here, the posture at DEFENSIVE."""
        self._stir()
        self._peaks.clear()
        self._day_profit = self._profit
        self._soft = False
        for source in (DAILY_LOSS, DRAWDOWN, POSTURE):
            if source in self._holds.sources:
                self._holds.put(source, TradingState.RUNNING, "operator", now_ns)
        self._move(Trigger.RESUME, "operator", now_ns)

    def restore_day(self, ts_ns: int) -> None:
        """Take over after a restart that the daily loss of the day of `ts_ns` was reached."""
        self._stir()
        self.day = max(self.day, ts_ns // NS_PER_DAY)

    def carry(self, ts_ns: int, lost: int, fallen: int, top_ns: int) -> None:
        """Go on from what an earlier process had lost at `ts_ns`: a restart gives no new allowance.

        Differences, not equity: what came in or went out meanwhile is neither profit nor loss.

        Parameters
        ----------
        lost, fallen : int
            Since 00:00 UTC and from the top of the window, 1e-18 dollar.
        top_ns : int
            When the top was.
        """
        self._stir()
        if self.day < 0:
            self.day = ts_ns // NS_PER_DAY
        if self.day == ts_ns // NS_PER_DAY:
            self._day_profit = self._profit + lost
        if fallen > 0:
            self._peaks = deque([(top_ns // NS_PER_MINUTE, self._profit + fallen)])

    def flat(self, now_ns: int) -> None:
        """Note that nothing is held or working any more: what was liquidating is now halted."""
        for source, hold in list(self._holds.sources.items()):
            if hold.state is TradingState.LIQUIDATING:
                self._holds.put(source, TradingState.HALTED, "liquidated", now_ns)

    def factor(self, *scopes: str) -> int:
        """Return what posture and volatility leave of a limit, in billionths."""
        factor = self.left
        if self.volatile and not self.volatile.isdisjoint((*scopes, "*")):
            factor = factor * self._volatility // NANO
        return factor

    # -- results ------------------------------------------------------------------------------------

    def trade_closed(self, strategy_id: str, profit: int, now_ns: int) -> None:
        """Count a finished round trip; a losing streak pauses its strategy."""
        if profit > 0:
            self.streaks.pop(strategy_id, None)
        elif profit < 0:
            streak = self.streaks.get(strategy_id, 0) + 1
            if streak < self._limits.consecutive_losses:
                self.streaks[strategy_id] = streak
                return
            self.streaks.pop(strategy_id, None)
            until = now_ns + self._limits.cooldown_min * NS_PER_MINUTE
            self.paused_until[strategy_id] = until
            reason = f"{streak} losses in a row"
            self._events.append(
                RiskEvent(now_ns, "cooldown", strategy_id, "RUNNING", "COOLING", reason)
            )
            self._move(Trigger.BREACH, f"{strategy_id}: {reason}", now_ns)

    def stopped_out(self, strategy_id: str, market_id: str, now_ns: int) -> None:
        """Bar a strategy from a market for a while after its stop was hit there."""
        until = now_ns + self._limits.stop_cooldown_min * NS_PER_MINUTE
        self.barred_until[(strategy_id, market_id)] = until
        self._events.append(
            RiskEvent(
                now_ns, "cooldown", f"{strategy_id}/{market_id}", "RUNNING", "COOLING", "stop"
            )
        )

    def cooling(self, strategy_id: str, market_id: str, now_ns: int) -> int:
        """Return until when the strategy may not buy here (ns), 0 when it may."""
        until = self.paused_until.get(strategy_id, 0)
        if self.barred_until:
            until = max(until, self.barred_until.get((strategy_id, market_id), 0))
        if not until:
            return 0
        if now_ns < until:
            return until
        self.paused_until.pop(strategy_id, None)
        self.barred_until.pop((strategy_id, market_id), None)
        return 0

    def volatility(self, scope: str, ratio: int, now_ns: int) -> None:
        """Take over the ratio (billionths) of present to usual volatility of a scope.

        A scope is an instrument, market, event or venue id, or ``*`` for everything. Sizes are cut
        above `volatility_high` and recover below `volatility_calm`, not in between.
        """
        g = self._limits
        if scope not in self.volatile and ratio >= fraction(g.volatility_high):
            self.volatile.add(scope)
            self._events.append(RiskEvent(now_ns, "volatility", scope, "CALM", "HIGH"))
        elif scope in self.volatile and ratio <= fraction(g.volatility_calm):
            self.volatile.discard(scope)
            self._events.append(RiskEvent(now_ns, "volatility", scope, "HIGH", "CALM"))

    def losses(self, transferred: int) -> list[tuple[str, int, int]]:
        """Return (limit, lost, most) of the day and of the window's top, in 1e-18 dollar, as last judged."""
        peak = self._peaks[0][1] if self._peaks else self._profit
        day_base, top = max(0, transferred + self._day_profit), max(0, transferred + peak)
        fall = max(0, peak - self._profit)
        return [
            (
                "governors.daily_loss",
                max(0, self._day_profit - self._profit),
                day_base * self._daily // NANO,
            ),
            ("governors.soft_drawdown", fall, top * self._soft_limit // NANO),
            ("governors.drawdown", fall, top * self._hard // NANO),
        ]

    @property
    def top_ns(self) -> int:
        """Minute of the window's top; 0 before equity was judged."""
        return self._peaks[0][0] * NS_PER_MINUTE if self._peaks else 0

    @property
    def severity(self) -> int:
        """Rank of the trading state, for metrics (0 running .. 3 halted)."""
        return SEVERITY[self._holds.state]
