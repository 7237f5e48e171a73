"""Polymarket opened for a node: one session, one wallet, markets by condition, slug, event or tag."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from adapters.connection import OnState, venue_session
from adapters.polymarket.catalogue import DATA, GAMMA, GEOBLOCK, Catalogue
from adapters.polymarket.collector import LEAST, CollectTerms, TokenCollector
from adapters.polymarket.data import PolymarketData
from adapters.polymarket.markets import condition_of
from adapters.polymarket.order_ids import OrderIds
from adapters.polymarket.port import PolymarketPort
from adapters.polymarket.positions import Caps
from adapters.polymarket.provider import MarketFilter, PolymarketProvider, discover
from adapters.polymarket.registry import Registry
from adapters.polymarket.relayer.client import RELAYER, Relayer
from adapters.polymarket.relayer.service import Pace
from adapters.polymarket.rest import CLOB, ClobRest
from adapters.polymarket.signing import ApiKey, Wallet
from adapters.polymarket.sockets import (
    MARKET_URL,
    USER_URL,
    MarketSockets,
    OnEvent,
    Socket,
)
from adapters.settings import checked
from core.domain.errors import ConfigError, MissingData
from core.domain.market import Market, MarketStatus
from core.engine.live.port import SentOrder
from core.risk.states import TradingState
from core.risk.switches import trading_state

#: Name of the relayer's key in the environment, and what to do without it.
RELAYER_KEY = "POLYMARKET_RELAYER_KEY"
RELAYER_MEND = f"export {RELAYER_KEY}=... (polymarket.com, settings), or leave out --collect"


class PolymarketSettings(BaseModel):
    """Where and what to trade on Polymarket.

    Attributes
    ----------
    conditions, slugs, events, tags : tuple of str
        Markets by condition id or slug, all markets of an event, open markets of a tag id.
    private_key, api_key, api_secret, passphrase : SecretStr, optional
        Needed for orders only. Without an API key the wallet's own is derived at the first private call.
    signature_type, funder
        Kind and address of the wallet that holds the money (0 = the key's own address).
    collect : bool
        Turn pairs and winners into dollars while a live node runs, through the relayer.
    relayer_key, relayer_url
        The relayer's own key (polymarket.com, settings); needed to collect.
    collect_min, collect_cap, collect_day_cap : Decimal
        Fewest pairs of a call; most dollars or shares of one, and of 24 hours.
    collect_settle_s, collect_wait_s, collect_poll_s : float
        How long calls are waited for (`Pace`).
    tokens_dir, runs_dir : Path, optional
        Folder of the ledger of calls, and of the nodes whose kill switches hold calls back.
    state_dir : Path, optional
        Where ids of sent orders are kept; default ``$XDG_STATE_HOME/beta-trader``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    conditions: tuple[str, ...] = ()
    slugs: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    limit: int = 20
    clob_url: str = CLOB
    gamma_url: str = GAMMA
    data_url: str = DATA
    geoblock_url: str = GEOBLOCK
    market_ws_url: str = MARKET_URL
    user_ws_url: str = USER_URL
    private_key: SecretStr | None = None
    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None
    passphrase: SecretStr | None = None
    signature_type: int = 0
    funder: str = ""
    builder: str = "0x" + "00" * 32
    heartbeat_s: float = 4.0
    settle_s: float = 5.0
    poll_result_s: float = 30.0
    timeout_s: float = 5.0
    state_dir: Path | None = None
    collect: bool = False
    relayer_key: SecretStr | None = None
    relayer_url: str = RELAYER
    collect_min: Decimal = Field(LEAST, gt=0)
    collect_cap: Decimal = Field(Decimal(50), gt=0)
    collect_day_cap: Decimal = Field(Decimal(200), gt=0)
    collect_settle_s: float = 15.0
    collect_wait_s: float = 60.0
    collect_poll_s: float = 2.0
    tokens_dir: Path | None = None
    runs_dir: Path | None = None


class PolymarketLive:
    """One Polymarket for one node."""

    code = "POLYMARKET"
    currency = "USD"

    def __init__(self, settings: PolymarketSettings) -> None:
        self.settings = settings
        self.registry = Registry()
        self.wallet: Wallet | None = None
        self.api_key: ApiKey | None = None
        if settings.private_key is not None:
            self.wallet = Wallet.from_key(
                settings.private_key, settings.signature_type, settings.funder
            )
        parts = (settings.api_key, settings.api_secret, settings.passphrase)
        key, secret, phrase = parts
        if key is not None and secret is not None and phrase is not None:
            self.api_key = ApiKey(key, secret, phrase)
        elif any(p is not None for p in parts):
            raise ConfigError(
                "a Polymarket API key has three parts",
                f"{sum(p is not None for p in parts)} of 3",
                "set POLYMARKET_API_KEY, POLYMARKET_API_SECRET and POLYMARKET_PASSPHRASE, or none",
            )
        self._session: aiohttp.ClientSession | None = None
        self._rest: ClobRest | None = None
        self._catalogue: Catalogue | None = None
        self._ids: OrderIds | None = None

    @property
    def rest(self) -> ClobRest:
        """The order book client of an opened venue."""
        if self._rest is None:
            raise ConfigError(
                "Polymarket is not open yet", self.settings.clob_url, "await open() first"
            )
        return self._rest

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue client of an opened venue."""
        if self._catalogue is None:
            raise ConfigError(
                "Polymarket is not open yet", self.settings.gamma_url, "await open() first"
            )
        return self._catalogue

    async def open(self, also: Collection[str] = ()) -> list[Market]:
        """Open the session and load the markets, those of the instruments in `also` too.

        Raises
        ------
        MissingData
            If the settings name no market that can be traded.
        """
        s = self.settings
        self._session = venue_session()
        self._rest = ClobRest(
            self._session, s.clob_url, self.wallet, self.api_key, timeout_s=s.timeout_s
        )
        self._catalogue = Catalogue(self._session, s.gamma_url, s.data_url, s.geoblock_url)
        wanted = MarketFilter(s.conditions, s.slugs, s.events, s.tags, s.limit)
        found = await discover(self.catalogue, self.registry, wanted)
        missing = sorted({condition_of(i) for i in also} - set(self.registry.markets))
        if missing:
            held = MarketFilter(conditions=tuple(missing))
            found += await discover(self.catalogue, self.registry, held)
        if not found:
            reasons = "; ".join(f"{slug}: {why}" for slug, why in self.registry.refused[:3])
            raise MissingData(
                "Polymarket has none of these markets open",
                wanted,
                reasons or "name other conditions, slugs, events or tags",
            )
        return found

    def _session_of(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise ConfigError(
                "Polymarket is not open yet", self.settings.clob_url, "await open() first"
            )
        return self._session

    def _market_sockets(self, on_event: OnEvent, on_state: Any) -> MarketSockets:
        made = MarketSockets(self._session_of(), self.settings.market_ws_url, on_event, on_state)
        made.secrets = self.rest.answers.stats.secrets
        return made

    def _user_socket(self, on_event: OnEvent, on_state: OnState) -> Socket:
        def hello() -> list[dict[str, Any]]:
            key = self.rest.api_key
            if key is None:
                raise ConfigError(
                    "the user channel needs an API key",
                    None,
                    "set POLYMARKET_PK: the API key is made from it",
                )
            auth = {
                "apiKey": key.key.get_secret_value(),
                "secret": key.secret.get_secret_value(),
                "passphrase": key.passphrase.get_secret_value(),
            }
            return [{"auth": auth, "type": "user"}]

        made = Socket(self._session_of(), self.settings.user_ws_url, hello, on_event, on_state)
        made.stats.secrets = self.rest.answers.stats.secrets
        return made

    def provider(
        self, on_market: Callable[[Market], None], clock: Callable[[], int]
    ) -> PolymarketProvider:
        """Return a provider of the same markets."""
        return PolymarketProvider(self.registry, on_market, clock)

    def data_client(
        self,
        *,
        name: str,
        config: Any,
        cache: Any,
        clock: Any,
        on_market: Callable[[Market], None],
        on_status: Callable[[str, MarketStatus], None],
        on_settled: Callable[[str, Decimal], None],
    ) -> PolymarketData:
        """Return the data client."""

        def settled(instrument_id: str, payout: Decimal) -> None:
            self.registry.paid[instrument_id] = payout
            on_settled(instrument_id, payout)

        return PolymarketData(
            name=name,
            config=config,
            cache=cache,
            clock=clock,
            provider=self.provider(on_market, clock.timestamp_ns),
            rest=self.rest,
            catalogue=self.catalogue,
            sockets_of=self._market_sockets,
            on_status=on_status,
            on_settled=settled,
            poll_result_s=self.settings.poll_result_s,
        )

    def port(self, outcomes: Mapping[str, str], sent: Collection[SentOrder] = ()) -> PolymarketPort:
        """Return the private side. Which order has which id is read from disk, and what is not there yet from `sent`."""
        if self.wallet is None:
            raise ConfigError(
                "Polymarket needs a key for orders",
                None,
                "set POLYMARKET_PK, and POLYMARKET_FUNDER for a proxy, safe or deposit wallet",
            )
        folder = self.settings.state_dir or state_home()
        self._ids = OrderIds(folder / f"polymarket-{self.wallet.funder.lower()}.jsonl")
        self._ids.restore(sent)
        port = PolymarketPort(
            self.rest,
            self.catalogue,
            self.registry,
            self._ids,
            self._user_socket,
            builder=self.settings.builder,
            heartbeat_s=self.settings.heartbeat_s,
            settle_s=self.settings.settle_s,
        )
        if self.settings.collect:
            port.collector = self._collector(port, self.wallet, folder)
        return port

    def _collector(self, port: PolymarketPort, wallet: Wallet, folder: Path) -> TokenCollector:
        """Return what collects.

        Raises
        ------
        ConfigError
            Without a relayer key, or for a wallet that the relayer does not serve.
        """
        s = self.settings
        if s.relayer_key is None:
            raise ConfigError("collecting needs a relayer key", RELAYER_KEY, RELAYER_MEND)
        terms = CollectTerms(
            s.tokens_dir or folder,
            Caps(s.collect_cap, s.collect_day_cap, ("--collect-cap", "--collect-day-cap")),
            Pace(s.collect_settle_s, s.collect_wait_s, s.collect_poll_s),
            s.collect_min,
        )
        relayer = Relayer(
            self._session_of(), s.relayer_url, wallet, s.relayer_key, timeout_s=s.timeout_s
        )
        runs = s.runs_dir
        return TokenCollector(
            self.rest, self.catalogue, self.registry, relayer, port.executions.tokens, terms,
            lambda: trading_state(runs) if runs is not None else TradingState.RUNNING,
        )  # fmt: skip

    def hold(self, markets: Sequence[Market]) -> None:
        """Know the tokens of markets that are no longer listed: positions are asked for by token."""
        for market in markets:
            self.registry.hold(market)

    async def close(self) -> None:
        """Close the session and the file of order ids."""
        if self._session is not None:
            await self._session.close()
        if self._ids is not None:
            self._ids.close()


def state_home() -> Path:
    """Return the folder for state that belongs to a wallet, not to a run."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "state") / "beta-trader"


def live_venue(settings: Mapping[str, Any]) -> PolymarketLive:
    """Return Polymarket for a node; unknown settings are refused."""
    return PolymarketLive(checked(PolymarketSettings, settings, "Polymarket", "docs/polymarket.md"))
