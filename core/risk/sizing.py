"""How much to buy: fractional Kelly, loss per trade, volatility, depth and hard caps; the least one rules.

Prices and costs are dollars per share, quantities shares. A size of zero is an answer, not an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.domain.errors import MarketError
from core.domain.money import ONE, ZERO, floor_to
from core.risk.limits import Limits


def kelly_binary(probability: Decimal, cost: Decimal) -> Decimal:
    """Return the full Kelly share of equity for an outcome that pays one dollar.

    For a stake that costs `cost` and pays 1 with `probability`, growth is greatest at
    ``f = (p - c) / (1 - c)`` (J. L. Kelly, "A New Interpretation of Information Rate", 1956, with
    odds ``b = (1 - c) / c``). Without an edge it is 0.

    Parameters
    ----------
    probability : Decimal
        Chance that the outcome pays, 0 to 1.
    cost : Decimal
        Price plus fee per share, dollars.

    Raises
    ------
    MarketError
        If the probability is not in 0..1 or the cost is not positive and finite.
    """
    if not (probability.is_finite() and ZERO <= probability <= ONE):
        raise MarketError(
            "a probability lies between 0 and 1", probability, "give a probability from 0 to 1"
        )
    if not (cost.is_finite() and cost > 0):
        raise MarketError(
            "a share costs more than nothing", cost, "give the cost of one share, fee included"
        )
    if cost >= ONE or probability <= cost:
        return ZERO
    return (probability - cost) / (ONE - cost)


@dataclass(frozen=True, slots=True)
class SizeRequest:
    """What the size of one purchase depends on.

    Attributes
    ----------
    equity : Decimal
        Cash plus marked holdings, dollars.
    price, fee : Decimal
        Limit price and worst-case fee, dollars per share.
    probability : Decimal, optional
        Chance that a one-dollar outcome pays; None for instruments that are not bets.
    stop : Decimal, optional
        Price at which the position would be sold at a loss; None: the whole cost is at risk.
    atr : Decimal, optional
        Average true range, price units (NautilusTrader measures it); with it the stop is at least ``atr_multiple`` ranges away.
    depth : Decimal, optional
        Shares offered at the limit price or better.
    room : Decimal, optional
        Dollars that the exposure limits still allow (`Gate.room`).
    factor : Decimal
        What posture, phase and volatility leave of it (`Gate.factor`).
    """

    equity: Decimal
    price: Decimal
    fee: Decimal
    size_step: Decimal
    min_size: Decimal = ZERO
    probability: Decimal | None = None
    stop: Decimal | None = None
    atr: Decimal | None = None
    depth: Decimal | None = None
    room: Decimal | None = None
    factor: Decimal = ONE


@dataclass(frozen=True, slots=True)
class Size:
    """A quantity and which bound decided it (``kelly``, ``risk``, ``order_cap``, ``depth``, ``room``...)."""

    quantity: Decimal
    bound: str
    bounds: tuple[tuple[str, Decimal], ...] = ()


def size(request: SizeRequest, limits: Limits) -> Size:
    """Return the largest purchase that every bound allows, rounded down to the size step.

    Raises
    ------
    MarketError
        For a price, fee, equity or step that is no number.
    """
    numbers = (request.equity, request.price, request.fee, request.size_step, request.factor)
    if not all(n.is_finite() for n in numbers) or request.price <= 0 or request.size_step <= 0:
        raise MarketError(
            "a size needs finite equity, price, fee and step",
            request,
            "give finite numbers and a step above 0",
        )
    cost = request.price + max(ZERO, request.fee)
    if request.equity <= 0:
        return Size(ZERO, "equity")
    bounds = _bounds(request, limits, cost)
    if request.probability is not None and request.probability - cost < limits.sizing.min_edge:
        return Size(ZERO, "edge", tuple(bounds))
    bound, most = min(bounds, key=lambda pair: pair[1])
    quantity = floor_to(max(ZERO, most), request.size_step)
    if quantity < max(request.min_size, request.size_step):
        return Size(ZERO, "min_size" if quantity > 0 else bound, tuple(bounds))
    return Size(quantity, bound, tuple(bounds))


def _bounds(request: SizeRequest, limits: Limits, cost: Decimal) -> list[tuple[str, Decimal]]:
    """Return every bound in shares."""
    stake = request.equity * request.factor
    bounds = [
        ("order_cap", stake * limits.exposure.order / cost),
        ("order_usd", limits.exposure.order_usd / cost),
        ("risk", stake * limits.sizing.risk_per_trade / _loss_per_share(request, limits, cost)),
    ]
    if request.probability is not None:
        share = kelly_binary(request.probability, cost) * limits.sizing.kelly
        bounds.append(("kelly", stake * share / cost))
    if request.depth is not None:
        bounds.append(("depth", request.depth * limits.sizing.depth_share))
    if request.room is not None:
        bounds.append(("room", request.room / cost))
    return bounds


def _loss_per_share(request: SizeRequest, limits: Limits, cost: Decimal) -> Decimal:
    """Return what one share can lose: to the stop, at least the volatility's distance, at most all."""
    if request.stop is None and request.atr is None:
        return cost
    distance = ZERO
    if request.stop is not None:
        distance = cost - request.stop
    if request.atr is not None:
        distance = max(distance, request.atr * limits.sizing.atr_multiple)
    return cost if distance <= 0 else min(cost, distance + max(ZERO, request.fee))
