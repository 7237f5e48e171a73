"""Trades of the fake Polymarket on their way to the chain: matched, mined, confirmed, or failed and undone."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adapters.fake.polymarket import wire
from adapters.fake.polymarket.wire import FakeInfo
from core.engine.paper.account import TokenAccount
from core.engine.paper.book import PRICE_UNIT
from core.engine.paper.exchange import Execution

MATCHED, MINED, CONFIRMED, FAILED = "MATCHED", "MINED", "CONFIRMED", "FAILED"
STRANGER = "00000000-0000-0000-0000-00000000dead"
STRANGER_ORDER = "0x" + "ee" * 32


@dataclass(slots=True)
class FakeTrade:
    """One execution and how far it has come."""

    trade_id: str
    execution: Execution
    status: str
    due_ns: int
    cross: bool

    @property
    def buys(self) -> bool:
        """Whether we bought the token."""
        return (self.execution.side == "bid") == (self.execution.outcome == wire.YES)

    @property
    def own_price(self) -> int:
        """The price in terms of our order's token."""
        return wire.token_price(self.execution.price, self.execution.outcome)


class Settlement:
    """All trades and their states.

    Parameters
    ----------
    mine_s, confirm_s : float
        From match to block, and from block to final.
    fail : callable
        Decides from the number of the trade whether it fails instead of being mined.
    """

    def __init__(
        self,
        account: TokenAccount,
        infos: dict[str, FakeInfo],
        *,
        owner: str,
        mine_s: float = 0.2,
        confirm_s: float = 0.4,
        fail: Callable[[int], bool] = lambda number: False,
        seed: int = 0,
    ) -> None:
        self.account, self.infos, self.owner = account, infos, owner
        self.mine_ns, self.confirm_ns = int(mine_s * 1e9), int(confirm_s * 1e9)
        self.fail = fail
        self.trades: dict[str, FakeTrade] = {}
        self._random = random.Random(seed)

    def matched(self, execution: Execution) -> FakeTrade:
        """Take a new execution. A maker is sometimes met by a taker of the other token (a mint or a merge)."""
        digits = f"{len(self.trades) + 1:012d}"
        trade = FakeTrade(
            f"00000000-0000-4000-8000-{digits}",
            execution,
            MATCHED,
            execution.ts_ns + self.mine_ns,
            execution.maker and self._random.random() < 0.5,
        )
        self.trades[trade.trade_id] = trade
        return trade

    def step(self, now_ns: int) -> list[FakeTrade]:
        """Move every trade whose time has come; return those that changed."""
        changed = []
        for number, trade in enumerate(self.trades.values()):
            if trade.status in (CONFIRMED, FAILED) or now_ns < trade.due_ns:
                continue
            if trade.status == MINED:
                trade.status = CONFIRMED
            elif self.fail(number):
                self.undo(trade)
            else:
                trade.status, trade.due_ns = MINED, now_ns + self.confirm_ns
            changed.append(trade)
        return changed

    def undo(self, trade: FakeTrade) -> None:
        """Fail a trade: money and tokens go back as if it had never been."""
        trade.status = FAILED
        ex = trade.execution
        key, cost = (ex.market, ex.outcome), trade.own_price * ex.quantity
        held = self.account.held.get(key, 0)
        if trade.buys:
            self.account.cash += cost + ex.fee
            self.account.held[key] = held - ex.quantity
        else:
            self.account.cash -= cost - ex.fee
            self.account.held[key] = held + ex.quantity
        if self.account.held[key] == 0:
            del self.account.held[key]

    # -- the chain's view: what is not mined has not happened ---------------------------------
    def _unmined(self) -> list[FakeTrade]:
        return [t for t in self.trades.values() if t.status == MATCHED]

    def chain_cash(self) -> int:
        """Return micro-dollars on chain."""
        cash = self.account.cash
        for trade in self._unmined():
            cost = trade.own_price * trade.execution.quantity
            cash += cost + trade.execution.fee if trade.buys else trade.execution.fee - cost
        return cash

    def chain_shares(self, market: str, outcome: str) -> int:
        """Return hundredths of a share on chain."""
        held = self.account.held.get((market, outcome), 0)
        for trade in self._unmined():
            ex = trade.execution
            if (ex.market, ex.outcome) == (market, outcome):
                held += -ex.quantity if trade.buys else ex.quantity
        return held

    # -- wire -------------------------------------------------------------------------------
    def body(self, trade: FakeTrade, now_ns: int) -> dict[str, Any]:
        """Return a trade as REST and the user channel give it."""
        ex, info = trade.execution, self.infos[trade.execution.market]
        token = info.tokens[0 if ex.outcome == wire.YES else 1]
        twin = info.tokens[1 if ex.outcome == wire.YES else 0]
        mine, theirs = ("BUY", "SELL") if trade.buys else ("SELL", "BUY")
        own, size = wire.price_text(trade.own_price), wire.size_text(ex.quantity)
        base: dict[str, Any] = {
            "id": trade.trade_id,
            "event_type": "trade",
            "type": "TRADE",
            "market": ex.market,
            "size": size,
            "status": trade.status,
            "match_time": str(ex.ts_ns // 1_000_000_000),
            "last_update": str(now_ns // 1_000_000_000),
            "timestamp": str(now_ns // 1_000_000),
            "fee_rate_bps": "0",
            "bucket_index": 0,
            "transaction_hash": "0x" + f"{int(trade.trade_id[-12:]):064x}",
            "outcome": "",
        }
        leg = {"fee_rate_bps": "0", "maker_address": "", "matched_amount": size, "outcome": ""}
        if not ex.maker:
            other_leg = leg | {
                "order_id": STRANGER_ORDER,
                "owner": STRANGER,
                "asset_id": token,
                "price": own,
                "side": theirs,
            }
            return base | {
                "asset_id": token,
                "side": mine,
                "price": own,
                "owner": self.owner,
                "taker_order_id": ex.order_id,
                "trader_side": "TAKER",
                "maker_orders": [other_leg],
            }
        own_leg = leg | {
            "order_id": ex.order_id,
            "owner": self.owner,
            "asset_id": token,
            "price": own,
        }
        taker_price = wire.price_text(
            PRICE_UNIT - trade.own_price if trade.cross else trade.own_price
        )
        return base | {
            "asset_id": twin if trade.cross else token,
            "side": mine if trade.cross else theirs,
            "price": taker_price,
            "owner": STRANGER,
            "taker_order_id": STRANGER_ORDER,
            "trader_side": "MAKER",
            "maker_orders": [own_leg],
        }
