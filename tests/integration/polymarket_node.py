"""A live node on a fake venue as a process: buys once, rests once, says what it holds each second."""

import asyncio
import json
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path

from core.domain.decision import TimeInForce
from core.domain.faultpoints import listen
from core.engine.backtest.strategies import plan_strategies
from core.engine.live.node import Node, NodeSpec
from core.engine.live.venue import open_venue
from core.engine.strategy import BetaStrategy, StrategyConfig
from core.ledger.kinds import RunMode

D = Decimal


class Config(StrategyConfig):
    """What to buy and where."""

    iid: str
    quantity: Decimal = D(10)
    rest_at: Decimal = D("0.38")
    other: str = ""


class BuyOnce(BetaStrategy):
    """Buys at the ask while it holds less than it wants, then rests a bid below."""

    config_type = Config

    def on_start(self):
        self.asked = False
        self.watch_book(self.config.iid)

    def on_book(self, iid):
        ask = self.best_ask(iid)
        if ask is None or self.asked:
            return
        self.asked = True
        if self.position(iid) < self.config.quantity:
            self.buy(iid, self.config.quantity, ask.price, reason="first")
        self.buy(iid, D(5), self.config.rest_at, tif=TimeInForce.GTC, reason="rest")

    def on_fill_voided(self, iid, quantity, price):
        print(json.dumps({"voided": [iid, str(quantity), str(price)]}), flush=True)
        self.buy(
            iid, D(1), price, reason="again"
        )  # the gate bars the market until somebody has looked

    def on_refused(self, intent, refusal):
        print(json.dumps({"refused": refusal.code}), flush=True)


class Pairs(BetaStrategy):
    """Buys both outcomes at the ask, once in its life."""

    config_type = Config

    def on_start(self):
        self.asked = set()
        for iid in (self.config.iid, self.config.other):
            self.watch_book(iid)

    def on_book(self, iid):
        ask = self.best_ask(iid)
        if ask is not None and iid not in self.asked and self.config.quantity > 0:
            self.asked.add(iid)
            self.buy(iid, self.config.quantity, ask.price, reason="pair")


class PairsAgain(BetaStrategy):
    """Buys both outcomes at the ask whenever it holds neither: what a merge does decides when."""

    config_type = Config

    def on_start(self):
        self.watch_book(self.config.iid)

    def on_book(self, iid):
        both = (self.config.iid, self.config.other)
        if any(self.position(one) or self.working(one) for one in both):
            return
        asks = [self.best_ask(one) for one in both]
        if None not in asks:
            for one, ask in zip(both, asks, strict=True):
                self.buy(one, self.config.quantity, ask.price, reason="pair")


class BothSides(BetaStrategy):
    """Rests a bid for NO at `rest_at`, then buys YES, unless it wants nothing; says what it was given back."""

    config_type = Config

    def on_start(self):
        self.asked, self.no = False, self.config.iid.replace("-YES.", "-NO.")
        for iid in (self.no, self.config.iid):
            self.watch_book(iid)

    def on_adopted(self, held):
        print(
            json.dumps({"adopted": {i: str(one.quantity) for i, one in held.items()}}), flush=True
        )

    def on_book(self, iid):
        ask = self.best_ask(self.config.iid)
        seen = ask is not None and self.best_ask(self.no) is not None
        if not seen or self.asked or not self.config.quantity:
            return
        self.asked = True
        self.buy(self.no, D(3), self.config.rest_at, tif=TimeInForce.GTC, reason="rest")
        self.buy(self.config.iid, self.config.quantity, ask.price, reason="first")

    def on_refused(self, intent, refusal):
        print(json.dumps({"refused": refusal.code}), flush=True)


class Presses(BetaStrategy):
    """Rests one more bid at each change of the book."""

    config_type = Config

    def on_start(self):
        self.sent = 0
        self.watch_book(self.config.iid)

    def on_book(self, iid):
        if self.best_ask(iid) is not None:
            self.sent += 1
            price = D(30 + self.sent % 8) / 100
            self.buy(iid, D(5), price, tif=TimeInForce.GTC, reason="press")


def say(node_status):
    print(
        json.dumps(
            {
                "positions": {p.instrument_id: str(p.quantity) for p in node_status.positions},
                "fills": node_status.fills,
                "cash": str(node_status.cash),
                "link": node_status.link_up,
                "unknown": node_status.unknown,
                "halted": node_status.halted,
            }
        ),
        flush=True,
    )


def main():
    """Run with ``{"mode", "home", "settings", "params", "run_s"}`` as the only argument."""
    told = json.loads(sys.argv[1])
    venue = told.get("venue", "POLYMARKET")
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in told["settings"].items()}
    spec = NodeSpec(
        mode=RunMode(told["mode"]),
        venue=venue,
        plans=tuple(
            plan_strategies(f"{__spec__.name}:{told.get('strategy', 'BuyOnce')}", told["params"])
        ),
        home=Path(told["home"]),
        capital=D(1000),
        run_s=told.get("run_s", 0.0),
        keep_orders=told.get("keep_orders", False),
        limits=told.get("limits", ""),
        audit_every_s=told.get("audit_every_s", 30.0),
        collect_every_s=told.get("collect_every_s", 60.0),
    )
    if die_at := told.get("die_at"):
        listen(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == die_at else None)
    node = Node(spec, open_venue(venue, settings), on_status=say)
    asyncio.run(node.run())
    print(json.dumps({"ended": True}), flush=True)


if __name__ == "__main__":
    main()
