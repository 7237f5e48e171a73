"""Fake venues with plain markets: truth, application, and the settings that lead a node to them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from adapters.fake.faults import FaultSchedule
from adapters.fake.kalshi.server import FakeKalshi
from adapters.fake.polymarket.server import FakePolymarket
from adapters.fake.polymarket.wire import FakeInfo
from adapters.kalshi.fees import KalshiFeeBook
from adapters.polymarket.fees import PolymarketFeeBook
from core.domain.fees import FeeSchedule
from core.engine.paper.account import NettedAccount, TokenAccount
from core.engine.paper.exchange import Exchange, FakeMarket

CASH = 10_000_000_000
HOUR_NS = 3600 * 10**9
WALLET = "0x" + "01" * 32
WALLET_PUBLIC = ec.derive_private_key(int("01" * 32, 16), ec.SECP256K1()).public_key()
ED25519 = "KALSHI-ED25519"
API_SECRET = "A" * 43 + "="


@dataclass(frozen=True, slots=True)
class Venue:
    """One fake venue.

    Attributes
    ----------
    ids : tuple of str
        Tickers or condition ids.
    instruments : tuple of str
        Instrument id of each market's first outcome.
    secrets : dict
        Settings that hold keys, as plain text.
    """

    code: str
    fake: Any
    ids: tuple[str, ...]
    instruments: tuple[str, ...]
    secrets: dict[str, str]

    def level(self, market: str, side: Any, price: int, quantity: int) -> None:
        """Change a level of the public book and tell the sockets."""
        exchange, now = self.fake.exchange, time.time_ns()
        before = exchange.markets[market].book.levels[side].get(price, 0)
        exchange.level(market, side, price, quantity, now)
        self.fake.streams.level_changed(market, side, price, quantity - before, now)
        self.fake.streams.ticked(market, now)

    def settings(self, host: str, state: Path) -> dict[str, Any]:
        """Return the settings of a node that trades here; keys as plain text."""
        http, ws = f"http://{host}", f"ws://{host}"
        if self.code == "KALSHI":
            return {
                "tickers": self.ids,
                "base_url": f"{http}/trade-api/v2",
                "ws_url": f"{ws}/trade-api/ws/v2",
                **self.secrets,
            }
        return {
            "clob_url": http,
            "gamma_url": http,
            "data_url": http,
            "geoblock_url": f"{http}/api/geoblock",
            "market_ws_url": f"{ws}/ws/market",
            "user_ws_url": f"{ws}/ws/user",
            "conditions": self.ids,
            "heartbeat_s": 1.0,
            "settle_s": 0.3,
            "poll_result_s": 1.0,
            "state_dir": str(state),
            **self.secrets,
        }


def make(code: str, markets: int = 4, faults: Sequence[Any] = (), rate: float = 1e6) -> Venue:
    """Return a fake venue with `markets` markets: bids 40 to 37 cents, asks 42 to 45, 20 shares each.

    `code` is the venue's, or ``KALSHI-ED25519`` for an account whose key is of that kind.
    """
    schedule = FaultSchedule(tuple(faults))
    if code == "POLYMARKET":
        return _polymarket(markets, schedule)
    return _kalshi(markets, schedule, rate, small_key=code == ED25519)


def _fill(exchange: Exchange, ids: Sequence[str], fees: FeeSchedule, minimum: int) -> None:
    close = time.time_ns() + HOUR_NS
    for market in ids:
        exchange.markets[market] = FakeMarket(market, fees, close, min_quantity=minimum)
        for step in range(4):
            exchange.level(market, "bid", 4000 - 100 * step, 2_000, 0)
            exchange.level(market, "ask", 4200 + 100 * step, 2_000, 0)


def _kalshi(markets: int, faults: FaultSchedule, rate: float, small_key: bool) -> Venue:
    ids = tuple(f"KXRIG-26NOV21-{n:02d}" for n in range(markets))
    exchange = Exchange(NettedAccount(CASH), KalshiFeeBook(), "k")
    _fill(exchange, ids, FeeSchedule("KALSHI", kind="quadratic"), 1)
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if small_key:
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    fake = FakeKalshi(
        exchange, public_key=key.public_key(), faults=faults, read_rate=rate, write_rate=rate
    )
    secrets = {"key_id": "rig-key-id-0123456789", "private_key": pem}
    return Venue("KALSHI", fake, ids, tuple(f"{i}-YES.KALSHI" for i in ids), secrets)


def _polymarket(markets: int, faults: FaultSchedule) -> Venue:
    ids = tuple("0x" + f"{n + 1:02x}" * 32 for n in range(markets))
    exchange = Exchange(TokenAccount(CASH), PolymarketFeeBook(), "p")
    fees = FeeSchedule("POLYMARKET", rate=Decimal("0.05"), exponent=Decimal(1), kind="curve")
    _fill(exchange, ids, fees, 100)
    tokens = {c: (str(1001 + 10 * n), str(1002 + 10 * n)) for n, c in enumerate(ids)}
    infos = {c: FakeInfo(c, t, f"{c[:6]}?", c[:6], event_id=c[:6]) for c, t in tokens.items()}
    fake = FakePolymarket(
        exchange,
        infos,
        secret=API_SECRET,
        public_key=WALLET_PUBLIC,
        faults=faults,
        heartbeat_window_s=60.0,
        confirm_s=0.3,
    )
    instruments = tuple(f"{c}-{tokens[c][0]}.POLYMARKET" for c in ids)
    return Venue("POLYMARKET", fake, ids, instruments, {"private_key": WALLET})
