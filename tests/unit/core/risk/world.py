"""A small world for the gate: two venues, three markets, an exact quadratic fee."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.domain.decision import OrderIntent, TimeInForce
from core.domain.fees import FeeCharge, FeeFill, FeeSchedule, Side
from core.domain.grid import TickGrid
from core.domain.market import Market, Outcome
from core.risk import Gate, Limits, MarketView, VenueRules, load_profile

D = Decimal
HALF = D("0.5")
DEFAULT_RATE = D("0.07")


@dataclass
class QuadraticFees:
    """``rate * p * (1 - p) * quantity``, unrounded, so that it is additive over any split into fills."""

    rate: Decimal = DEFAULT_RATE

    def charge(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        return self.estimate(schedule, fill)

    def estimate(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        return FeeCharge(self.rate * fill.price * (1 - fill.price) * fill.quantity, "test")

    @property
    def rule_starts_ns(self) -> tuple[int, ...]:
        return ()

    def worst_case(
        self,
        schedule: FeeSchedule,
        price: Decimal,
        quantity: Decimal,
        ts_ns: int,
        side: Side = Side.BUY,
    ) -> Decimal:
        at = min(price, HALF) if side is Side.BUY else max(price, HALF)
        return self.rate * at * (1 - at) * quantity


def market(venue: str, market_id: str, event_id: str = "", **more: object) -> Market:
    outs = tuple(Outcome(f"{market_id}-{s}.{venue}", s.title()) for s in ("YES", "NO"))
    fields: dict[str, object] = {
        "grid": TickGrid.uniform(D("0.01")),
        "fees": FeeSchedule(venue),
        "event_id": event_id,
        "size_step": D("0.01"),
    } | more
    return Market(venue, market_id, f"{market_id}?", outs, **fields)  # type: ignore[arg-type]


def venues() -> list[VenueRules]:
    return [
        VenueRules("KALSHI", QuadraticFees(), nets_outcomes=True),
        VenueRules("POLYMARKET", QuadraticFees(D("0.02"))),
    ]


class Desk:
    """Sends intents to a gate and remembers the last client order id."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.count = 0

    def intent(self, iid: str, side: str, quantity: str, price: str | None, **more) -> OrderIntent:
        self.count += 1
        market_id, venue = iid.rsplit("-", 1)[0], iid.rsplit(".", 1)[1]
        fields = {
            "client_order_id": f"O-{self.count}",
            "strategy_id": "S1",
            "venue": venue,
            "instrument_id": iid,
            "market_id": market_id,
            "event_id": EVENTS.get(market_id, ""),
            "side": Side(side),
            "quantity": D(quantity),
            "price": None if price is None else D(price),
            "tif": TimeInForce.GTC,
            "ts_ns": 1,
        } | more
        return OrderIntent(**fields)  # type: ignore[arg-type]

    def send(self, iid: str, side: str, quantity: str, price: str | None, now_ns=10, **more):
        view = {k: more.pop(k) for k in ("bid", "ask", "depth", "book_age_ns") if k in more}
        if price is not None and not view.keys() & {"bid", "ask"}:
            at = D(price)
            view |= {"bid": at, "ask": at} if at.is_finite() and at > 0 else {}
        return self.gate.review(
            self.intent(iid, side, quantity, price, **more), MarketView(now_ns, **view)
        )

    def fill(self, order_id: str, quantity: str, price: str, fee: str = "0", **more) -> bool:
        self.count += 1
        waiting = self.gate.approval(order_id)
        if waiting is not None:
            self.gate.redeem(waiting, waiting.ts_ns)
        return self.gate.on_fill(order_id, f"T-{self.count}", D(quantity), D(price), D(fee), **more)

    def hold(self, iid: str, quantity: str, price: str = "0.40", strategy: str = "S1") -> None:
        """Hold something whose book shows `price` on both sides."""
        self.gate.on_position(strategy, iid, D(quantity), D(price))
        self.gate.on_mark(iid, D(price), D(price))


EVENTS = {"K1": "E1", "K2": "E1", "P1": "E2"}
KYES, KNO, K2YES, PYES, PNO = (
    "K1-YES.KALSHI",
    "K1-NO.KALSHI",
    "K2-YES.KALSHI",
    "P1-YES.POLYMARKET",
    "P1-NO.POLYMARKET",
)


def world(limits: Limits | None = None, cash: str = "100", **options) -> Gate:
    """A gate without limits unless given some: the checks of identity, cover and cash stay."""
    gate = Gate(venues(), limits or load_profile("research"), key=b"k" * 32, **options)
    for strategy in ("S1", "S2"):
        gate.on_strategy(strategy)
    gate.on_market(market("KALSHI", "K1", "E1"))
    gate.on_market(market("KALSHI", "K2", "E1"))
    gate.on_market(market("POLYMARKET", "P1", "E2", min_size=D(5)))
    gate.on_cash("KALSHI", D(cash))
    gate.on_cash("POLYMARKET", D(cash))
    return gate
