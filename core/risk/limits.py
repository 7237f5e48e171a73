"""Risk limits as one frozen value: read from TOML, checked for contradictions, changed only by an operator.

Shares of equity are Decimals between 0 and 1. Everything a limit stops is listed in ``docs/risk.md``.
No strategy or model holds a reference through which a limit could be written.
"""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.domain.errors import ConfigError

PROFILES = Path(__file__).parent / "profiles"
DEFAULT_PROFILE = "usd100"

Share = Annotated[Decimal, Field(gt=0, le=1, decimal_places=9)]
Factor = Annotated[Decimal, Field(ge=0, le=1, decimal_places=9)]
Usd = Annotated[Decimal, Field(gt=0, le=10**9, decimal_places=9)]
PostureName = Literal["AGGRESSIVE", "BALANCED", "DEFENSIVE"]


class Section(BaseModel):
    """Base of every group of limits: frozen, unknown names refused, NaN refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Exposure(Section):
    """Money at risk, as shares of equity, per order and per scope.

    Attributes
    ----------
    order, market, event, venue, total : Decimal
        Worst-case cost of one order; committed money per market, event, venue and altogether.
    leverage : Decimal
        Committed money against equity; 1 = off. Never above 2.
    order_usd : Decimal
        Cap in dollars that holds whatever the equity is.
    open_orders, unknown_orders : int
        Working orders at once; orders of unknown fate before buying stops.
    """

    order: Share = Decimal("0.02")
    market: Share = Decimal("0.10")
    event: Share = Decimal("0.20")
    venue: Share = Decimal("0.50")
    total: Annotated[Decimal, Field(gt=0, le=2, decimal_places=9)] = Decimal(1)
    leverage: Annotated[Decimal, Field(ge=1, le=2)] = Decimal(1)
    order_usd: Usd = Decimal(50)
    open_orders: Annotated[int, Field(ge=1, le=100_000)] = 200
    unknown_orders: Annotated[int, Field(ge=1, le=1_000)] = 3


class Price(Section):
    """Sanity of prices.

    Attributes
    ----------
    collar : Decimal
        How far through the market an order may reach (share of the touch).
    collar_ticks : int
        The collar is never narrower than this many ticks (5 % of 2 cents is no price).
    slippage : Decimal
        Worst case of a market order beyond the touch.
    book_age_ms : int
        Oldest book that may be bought on.
    mark_spread : Decimal
        Widest spread, in dollars per share (share of the price above one dollar), whose middle is
        taken as the value; a wider book only bounds the last value.
    """

    collar: Share = Decimal("0.05")
    collar_ticks: Annotated[int, Field(ge=1, le=20)] = 2
    slippage: Factor = Decimal("0.05")
    book_age_ms: Annotated[int, Field(ge=1)] = 10_000
    mark_spread: Share = Decimal("0.10")


class Rate(Section):
    """How fast orders may come.

    Attributes
    ----------
    orders, window_ms : int
        Orders of one strategy and side within the window.
    repeats, repeat_window_ms : int
        Identical orders (instrument, side, price, quantity) within the window.
    """

    orders: Annotated[int, Field(ge=1, le=10_000)] = 10
    window_ms: Annotated[int, Field(ge=1, le=3_600_000)] = 1_000
    repeats: Annotated[int, Field(ge=1, le=10_000)] = 5
    repeat_window_ms: Annotated[int, Field(ge=1, le=3_600_000)] = 10_000


class Sizing(Section):
    """How much to buy.

    Attributes
    ----------
    kelly : Decimal
        Fraction of the Kelly stake, 0.25 to 0.5. Never full Kelly.
    risk_per_trade : Decimal
        Loss allowed on one trade, 0.5 % to 2 % of equity.
    atr_multiple : Decimal
        Stop distance in average true ranges, for instruments with a stop.
    depth_share : Decimal
        Share of the visible depth within the limit price that one order may take.
    min_edge : Decimal
        Dollars per share, after fees, below which nothing is bought.
    """

    kelly: Annotated[Decimal, Field(ge=Decimal("0.25"), le=Decimal("0.5"))] = Decimal("0.25")
    risk_per_trade: Annotated[Decimal, Field(ge=Decimal("0.005"), le=Decimal("0.02"))] = Decimal(
        "0.02"
    )
    atr_multiple: Annotated[Decimal, Field(ge=Decimal("0.5"), le=10)] = Decimal(2)
    depth_share: Share = Decimal(1)
    min_edge: Annotated[Decimal, Field(ge=0, lt=1)] = Decimal(0)


class Governors(Section):
    """When to slow down and when to stop. Shares are of equity.

    Attributes
    ----------
    daily_loss : Decimal
        Loss since 00:00 UTC at which only reducing orders pass, until the next day.
    drawdown, drawdown_window_h : Decimal, int
        Fall from the highest equity of the window at which everything is sold and trading halts.
    soft_drawdown : Decimal
        Fall at which the posture steps down.
    consecutive_losses : int
        Losing trades of one strategy in a row that start its cool-down.
    cooldown_min, stop_cooldown_min : int
        Minutes a strategy pauses after a losing streak; a market after a stop-out.
    volatility_high, volatility_calm, volatility_factor : Decimal
        Ratio to usual volatility at which sizes are cut to the factor, and at which they recover.
    recover_h : int
        Hours without a breach before the posture steps up again.
    """

    daily_loss: Share = Decimal("0.05")
    drawdown: Share = Decimal("0.05")
    drawdown_window_h: Annotated[int, Field(ge=1, le=168)] = 24
    soft_drawdown: Share = Decimal("0.025")
    consecutive_losses: Annotated[int, Field(ge=1, le=100)] = 3
    cooldown_min: Annotated[int, Field(ge=1, le=10_080)] = 60
    stop_cooldown_min: Annotated[int, Field(ge=1, le=10_080)] = 30
    volatility_high: Annotated[Decimal, Field(gt=1, decimal_places=9)] = Decimal(2)
    volatility_calm: Annotated[Decimal, Field(gt=0, decimal_places=9)] = Decimal("1.5")
    volatility_factor: Share = Decimal("0.5")
    recover_h: Annotated[int, Field(ge=1, le=720)] = 24


class Postures(Section):
    """What each posture leaves of the limits. A posture only ever shrinks them."""

    start: PostureName = "AGGRESSIVE"
    aggressive: Share = Decimal(1)
    balanced: Share = Decimal("0.75")
    defensive: Share = Decimal("0.5")


class Breaker(Section):
    """Circuit breaker of the arbitrage strategies.

    Attributes
    ----------
    market, total : Decimal
        Committed money of arbitrage per market and altogether (shares of equity).
    daily_loss : Decimal
        Arbitrage loss since 00:00 UTC that opens the breaker for the rest of the day.
    errors, cooldown_s : int
        Consecutive errors that open it, and for how long. The cool-down ends.
    mismatches, blacklist_s : int
        Unequal legs in one market that bar that market, and for how long.
    """

    market: Share = Decimal("0.10")
    total: Share = Decimal("0.50")
    daily_loss: Share = Decimal("0.03")
    errors: Annotated[int, Field(ge=1, le=100)] = 3
    cooldown_s: Annotated[int, Field(ge=1, le=86_400)] = 300
    mismatches: Annotated[int, Field(ge=1, le=100)] = 3
    blacklist_s: Annotated[int, Field(ge=1, le=86_400)] = 300


class Phase(Section):
    """A stage of the fund: from which equity, how much of the limits, which strategy families."""

    name: Literal["BOOTSTRAP", "GROWTH", "SCALE", "MATURE"]
    from_usd: Annotated[Decimal, Field(ge=0)]
    factor: Share
    families: tuple[str, ...]


class Budget(Section):
    """Risk budget across strategy families.

    Attributes
    ----------
    floor, cap : Decimal
        Least and most of the total limit that one family gets.
    min_trades : int
        Results needed before a family's own record moves its share.
    enforced : bool
        Whether a run of two or more families is bound to these shares at all.
    """

    floor: Factor = Decimal("0.05")
    cap: Share = Decimal(1)
    min_trades: Annotated[int, Field(ge=1)] = 20
    enforced: bool = True


def _phases() -> tuple[Phase, ...]:
    early = ("arbitrage", "prediction")
    return (
        Phase(name="BOOTSTRAP", from_usd=Decimal(0), factor=Decimal(1), families=early),
        Phase(
            name="GROWTH",
            from_usd=Decimal(100),
            factor=Decimal(1),
            families=(*early, "momentum", "mean_reversion"),
        ),
        Phase(
            name="SCALE",
            from_usd=Decimal(1_000),
            factor=Decimal(1),
            families=(*early, "momentum", "mean_reversion", "scalping"),
        ),
        Phase(
            name="MATURE",
            from_usd=Decimal(10_000),
            factor=Decimal("0.5"),
            families=(*early, "momentum", "mean_reversion"),
        ),
    )


class Limits(Section):
    """All limits of a run. Build from a profile with `load_profile`; contradictions are refused."""

    name: str = DEFAULT_PROFILE
    exposure: Exposure = Exposure()
    price: Price = Price()
    rate: Rate = Rate()
    sizing: Sizing = Sizing()
    governors: Governors = Governors()
    posture: Postures = Postures()
    breaker: Breaker = Breaker()
    budget: Budget = Budget()
    phases: tuple[Phase, ...] = Field(default_factory=_phases, min_length=1)
    blacklist: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for low_name, low, high_name, high in self._ordered():
            if low > high:
                raise ValueError(f"{low_name} ({low}) must not exceed {high_name} ({high})")
        starts = [p.from_usd for p in self.phases]
        if starts != sorted(set(starts)) or starts[0] != 0:
            raise ValueError("phases must start at 0 and rise")
        return self

    def _ordered(self) -> list[tuple[str, Decimal, str, Decimal]]:
        """Return pairs of limits of which the first must not exceed the second."""
        e, g, p, b = self.exposure, self.governors, self.posture, self.breaker
        chain = [("exposure." + n, getattr(e, n)) for n in ("order", "market", "event", "venue")]
        chain += [("exposure.total", e.total), ("exposure.leverage", e.leverage)]
        pairs = [(*a, *b) for a, b in pairwise(chain)]
        return [
            *pairs,
            ("sizing.risk_per_trade", self.sizing.risk_per_trade, "exposure.order", e.order),
            ("governors.soft_drawdown", g.soft_drawdown, "governors.drawdown", g.drawdown),
            ("governors.volatility_calm", g.volatility_calm, "governors.volatility_high", g.volatility_high),
            ("posture.balanced", p.balanced, "posture.aggressive", p.aggressive),
            ("posture.defensive", p.defensive, "posture.balanced", p.balanced),
            ("breaker.market", b.market, "breaker.total", b.total),
            ("breaker.total", b.total, "exposure.total", e.total),
            ("breaker.daily_loss", b.daily_loss, "governors.daily_loss", g.daily_loss),
            ("budget.floor", self.budget.floor, "budget.cap", self.budget.cap),
        ]  # fmt: skip

    def flat(self) -> dict[str, str]:
        """Return every limit as ``section.key`` to text (for rows, `beta risk show` and `set`)."""
        out: dict[str, str] = {}
        for section, value in self:
            if isinstance(value, Section):
                out |= {f"{section}.{key}": str(v) for key, v in value}
        out["blacklist"] = ",".join(self.blacklist)
        out["phases"] = json.dumps([p.model_dump(mode="json") for p in self.phases])
        return out

    @classmethod
    def of(cls, flat: dict[str, str]) -> Limits:
        """Return the limits that `flat` described (a run's record)."""
        return cls().changed(flat)

    def changed(self, changes: dict[str, str]) -> Limits:
        """Return these limits with ``section.key`` changes applied and everything checked again.

        Raises
        ------
        ConfigError
            For an unknown key (names the nearest), a value that is not allowed or a contradiction.
        """
        plain = self.model_dump()
        known = self.flat()
        for key, text in changes.items():
            if key not in known:
                raise ConfigError("no such limit", key, f"did you mean {_nearest(key, known)}?")
            section, _, name = key.partition(".")
            if key == "phases":
                plain[section] = _parsed(text)
            elif not name:
                plain[section] = tuple(v.strip() for v in text.split(",") if v.strip())
            else:
                plain[section][name] = text
        return build(plain, "beta risk show lists the limits in force")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise ConfigError("phases are a JSON list", text[:80], "beta risk show --json") from exc


def _nearest(key: str, known: dict[str, str]) -> str:
    import difflib

    near = difflib.get_close_matches(key, known, n=1, cutoff=0.3)
    return near[0] if near else "exposure.order"


def build(plain: dict[str, Any], mend: str) -> Limits:
    """Return limits from plain data, or raise `ConfigError` naming every bad key."""
    try:
        return Limits.model_validate(plain)
    except ValidationError as exc:
        faults = [
            f"{'.'.join(map(str, e['loc'])) or 'limits'}: {e['msg'].removeprefix('Value error, ')}"
            for e in exc.errors(include_url=False)
        ]
        raise ConfigError("the risk limits are not valid", "; ".join(faults), mend) from exc


def profile_names() -> list[str]:
    """Return the names of the profiles that ship with the product."""
    return sorted(p.stem for p in PROFILES.glob("*.toml"))


def load_profile(name_or_path: str = DEFAULT_PROFILE) -> Limits:
    """Return the limits of a shipped profile, or of a TOML file of the operator's own.

    Raises
    ------
    ConfigError
        If there is no such profile, the TOML does not parse, or limits are unknown or contradictory.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = PROFILES / f"{name_or_path}.toml"
    if not path.is_file():
        raise ConfigError(
            "no such risk profile",
            name_or_path,
            f"use one of {', '.join(profile_names())} or a .toml file",
        )
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(
            "a risk profile is not valid TOML",
            f"{path.name}: {exc}",
            "correct the line it names",
        ) from exc
    return build({"name": path.stem} | plain, f"edit {path.name}")
