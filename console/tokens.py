"""Calls on Polymarket tokens sent, listed and resolved: the body of `beta tokens`, from keys to the printed row."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from console.node import DEFAULT_HOME
from core.domain.errors import (
    ConfigError,
    GateClosed,
    MissingData,
    TimeoutExpired,
    UsageError,
    VenueRefused,
)

if TYPE_CHECKING:
    from adapters.polymarket.positions import Action
    from adapters.polymarket.relayer.calls import KnownCall
    from adapters.polymarket.relayer.service import TokenCalls
    from core.domain.market import Market
    from core.ledger import DurableLedger

DEFAULT_FOLDER = DEFAULT_HOME / "tokens" / "polymarket"
#: Calls to a fake venue are no part of what a wallet has really done.
FAKE_FOLDER = DEFAULT_HOME / "tokens" / "fake-polymarket"
#: Keys of the environment that a call needs; the rest as for `beta live`.
KEYS = ("POLYMARKET_PK", "POLYMARKET_RELAYER_KEY")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
URLS = ("clob_url", "gamma_url", "data_url", "relayer_url")
#: On a fake venue nothing takes minutes.
FAKE_SETTLE_S, FAKE_POLL_S = 1.0, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """Where and how a call is sent.

    Attributes
    ----------
    home : Path
        Folder of the ledger of calls.
    fake : str
        Address of a fake Polymarket on loopback; empty = the real one.
    risk : Path, optional
        Risk state that can halt calls too, beside those of the nodes under ``runs``.
    """

    home: Path = DEFAULT_FOLDER
    fake: str = ""
    risk: Path | None = None
    cap: Decimal = Decimal(50)
    day_cap: Decimal = Decimal(200)
    wait_s: float = 180.0


async def send(
    request: SendRequest,
    action: Action,
    condition: str,
    amount: Decimal,
    *,
    neg_risk: bool = False,
    outcome: int = 0,
) -> dict[str, Any]:
    """Send one call; return the row that is printed.

    Raises
    ------
    GateClosed, HaltedError, ConfigError
        If it may not be sent; nothing has left.
    VenueRefused
        If it was refused, or failed on chain.
    VenueUncertain, TimeoutExpired
        If its end is not known yet.
    """
    settings = _settings(request)
    _demand_word(request)
    with _ledger(request.home) as ledger:
        venue = _Venue(request, settings)
        try:
            await venue.open()
            market = await venue.market(condition, neg_risk)
            done = await venue.calls(ledger).send(action, market, amount, outcome)
        finally:
            await venue.close()
    if done.ended is None:
        raise TimeoutExpired(
            f"the call is not final after {request.wait_s:g} s",
            f"{done.intent.call_id} ({done.state})",
            f"beta tokens resolve --home {request.home}",
        )
    if done.status != "confirmed":
        raise VenueRefused(
            done.status,
            f"the {done.intent.action} did not happen: {done.status}, {done.ended.detail}",
            mend=f"beta tokens status --home {request.home}",
        )
    return told(done)


async def resolve(request: SendRequest) -> list[dict[str, Any]]:
    """Ask the relayer for every open call; return them as they are now."""
    settings = _settings(request)
    with _ledger(request.home) as ledger:
        venue = _Venue(request, settings)
        try:
            await venue.open()
            return [told(c) for c in await venue.calls(ledger).resolve()]
        finally:
            await venue.close()


def close_by_word(home: Path, call_id: str, outcome: str) -> dict[str, Any]:
    """End an open call by its owner's word."""
    from adapters.polymarket.relayer.calls import KINDS, known_calls
    from adapters.polymarket.relayer.service import ended_by_owner
    from core.ledger.kinds import CallOutcome
    from core.ledger.reader import LedgerReader
    from core.ledger.selection import Selection

    if outcome not in ("confirmed", "failed"):
        raise UsageError("not an end of a call", outcome, "--as confirmed or --as failed")
    with _ledger(home) as ledger:
        known = known_calls(LedgerReader(ledger.directory).rows(Selection(kinds=KINDS)))
        return told(ended_by_owner(ledger, known, call_id, CallOutcome(outcome), _actor()))


def listed(home: Path) -> list[dict[str, Any]]:
    """Return every call of a folder's ledger, oldest first; nothing is asked of anybody."""
    from adapters.polymarket.relayer.calls import KINDS, known_calls
    from core.ledger.reader import LedgerReader
    from core.ledger.segment import segments
    from core.ledger.selection import Selection

    folder = home / "ledger"
    if not folder.is_dir() or not segments(folder):
        return []
    rows = LedgerReader(folder).rows(Selection(kinds=KINDS))
    return [told(c) for c in known_calls(rows).values()]


def folder_of(home: Path | None, fake: str) -> Path:
    """Return the folder of the ledger of calls."""
    return home or (FAKE_FOLDER if fake else DEFAULT_FOLDER)


def told(call: KnownCall) -> dict[str, Any]:
    """Return a call as `beta tokens` prints it."""
    intent, ended = call.intent, call.ended
    return {
        "call_id": intent.call_id,
        "status": call.status,
        "action": intent.action,
        "market_id": intent.market_id,
        "amount": f"{intent.amount:f}",
        "wallet": intent.wallet,
        "nonce": intent.nonce,
        "attempts": intent.attempt,
        "transaction_id": call.transaction_id,
        "transaction_hash": ended.transaction_hash if ended else "",
        "detail": ended.detail if ended else call.state,
    }


class _Venue:
    """One session with order book, catalogue and relayer of one place."""

    def __init__(self, request: SendRequest, settings: dict[str, Any]) -> None:
        from adapters.polymarket.live import live_venue

        self.request = request
        self.relayer_url = settings.pop("relayer_url")
        self.key = settings.pop("relayer_key")
        self.live = live_venue(settings)

    async def open(self) -> None:
        """Open the session; refuse a wrong place or clock."""
        from adapters.connection import venue_session
        from adapters.polymarket import preflight
        from adapters.polymarket.catalogue import Catalogue
        from adapters.polymarket.relayer.client import Relayer
        from adapters.polymarket.rest import ClobRest

        s, wallet = self.live.settings, self.live.wallet
        assert wallet is not None
        self.session = venue_session()
        self.rest = ClobRest(self.session, s.clob_url, wallet, self.live.api_key)
        self.catalogue = Catalogue(self.session, s.gamma_url, s.data_url, s.geoblock_url)
        self.relayer = Relayer(self.session, self.relayer_url, wallet, self.key)
        await preflight.check_place(self.catalogue)
        await preflight.check_clock(self.rest)

    async def market(self, condition: str, neg_risk: bool) -> Market:
        """Return the market as the catalogue has it; what was said on the command line must agree."""
        from adapters.polymarket.registry import Registry

        registry = Registry()
        for payload in await self.catalogue.by_condition([condition]):
            registry.take(payload)
        market = registry.markets.get(condition)
        if market is None:
            why = "; ".join(reason for _, reason in registry.refused)
            raise MissingData("Polymarket has no such market", condition, why)
        if neg_risk and not market.info.get("neg_risk"):
            raise UsageError("this market is no neg-risk market", condition, "leave out --neg-risk")
        return market

    def calls(self, ledger: DurableLedger) -> TokenCalls:
        """Return the service over a ledger."""
        from adapters.polymarket.positions import Caps
        from adapters.polymarket.relayer.funds import Funds
        from adapters.polymarket.relayer.service import Pace, TokenCalls
        from core.ledger.reader import LedgerReader
        from core.risk.switches import trading_state

        request = self.request
        pace = Pace(wait_s=request.wait_s)
        if request.fake:
            pace = Pace(FAKE_SETTLE_S, request.wait_s, FAKE_POLL_S)
        return TokenCalls(
            ledger,
            LedgerReader(ledger.directory),
            self.relayer,
            Funds(self.rest),
            lambda: trading_state(DEFAULT_HOME, request.risk),
            caps=Caps(request.cap, request.day_cap),
            pace=pace,
            actor=_actor(),
            tell=lambda line: print(line, file=sys.stderr),
        )

    async def close(self) -> None:
        """Close the session."""
        session = getattr(self, "session", None)
        if session is not None:
            await session.close()


def _settings(request: SendRequest) -> dict[str, Any]:
    """Return the venue's settings: keys from the environment, where they are then forgotten.

    Raises
    ------
    ConfigError
        If a key is missing, or a fake venue is not on this machine.
    """
    from pydantic import SecretStr

    from adapters.polymarket.relayer.client import RELAYER

    urls: dict[str, Any] = {"relayer_url": RELAYER}
    if request.fake:
        root = request.fake.removesuffix("/")
        if urlsplit(root).hostname not in LOOPBACK:
            raise ConfigError(
                "a fake venue is on this machine; signed calls go nowhere else", root[:80],
                "--fake http://127.0.0.1:PORT, or leave it out for Polymarket",
            )  # fmt: skip
        urls = dict.fromkeys(URLS, root) | {"geoblock_url": root + "/api/geoblock"}
    missing = [name for name in KEYS if not os.environ.get(name)]
    if missing:
        raise ConfigError(
            "sending needs keys", ", ".join(missing), f"export {' '.join(missing)}; see docs/polymarket.md"
        )  # fmt: skip

    def secret(name: str) -> SecretStr | None:
        value = os.environ.pop(name, None)
        return SecretStr(value) if value else None

    return urls | {
        "private_key": secret("POLYMARKET_PK"),
        "relayer_key": secret("POLYMARKET_RELAYER_KEY"),
        "signature_type": os.environ.get("POLYMARKET_SIGNATURE_TYPE", "0"),
        "funder": os.environ.get("POLYMARKET_FUNDER", ""),
        "api_key": secret("POLYMARKET_API_KEY"),
        "api_secret": secret("POLYMARKET_API_SECRET"),
        "passphrase": secret("POLYMARKET_PASSPHRASE"),
    }


def _demand_word(request: SendRequest, ask: Callable[[str], str] = input) -> None:
    """Refuse unless the operator has said so in words, as for `beta live`.

    Raises
    ------
    GateClosed
        Without them.
    """
    if os.environ.get("BETA_LIVE") == "1":
        return
    where = request.fake or "Polymarket"
    if (
        sys.stdin.isatty()
        and ask(f"This sends a real call to {where}. Type LIVE to go on: ").strip() == "LIVE"
    ):
        return  # fmt: skip
    raise GateClosed("sending was not confirmed", "BETA_LIVE", "set BETA_LIVE=1, or type LIVE when asked")  # fmt: skip


@contextmanager
def _ledger(home: Path) -> Iterator[DurableLedger]:
    from core.ledger import DurableLedger

    (home / "ledger").mkdir(parents=True, exist_ok=True)
    with DurableLedger(home / "ledger") as ledger:
        yield ledger


def _actor() -> str:
    import getpass

    return getpass.getuser()


def open_calls(calls: Iterable[dict[str, Any]]) -> list[str]:
    """Return the ids of calls whose end is not known."""
    return [c["call_id"] for c in calls if c["status"] in ("unknown", "submitted")]
