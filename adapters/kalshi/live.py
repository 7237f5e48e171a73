"""Kalshi opened for a node: one session, signed clients, markets by ticker or series."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal, Self

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from adapters.connection import OnState, venue_session
from adapters.kalshi.data import KalshiData, KalshiProvider, MarketFilter
from adapters.kalshi.environments import ENVIRONMENTS, one_environment
from adapters.kalshi.parsing import split_instrument
from adapters.kalshi.port import KalshiPort, Sides
from adapters.kalshi.rest import KalshiRest
from adapters.kalshi.signing import KalshiCredentials, Signer
from adapters.kalshi.socket import KalshiSocket, OnFrame, OnGap
from adapters.settings import checked
from core.domain.errors import ConfigError, MissingData
from core.domain.market import Market, MarketStatus
from core.engine.live.port import SentOrder


class KalshiSettings(BaseModel):
    """Where and what to trade on Kalshi.

    Attributes
    ----------
    tickers, series : tuple of str
        Markets by ticker; open markets of a series.
    environment : str
        ``production``, ``demo`` or ``local``; empty = what the addresses say, production without any.
    base_url, ws_url : str
        Addresses; empty = the environment's own. Both must belong to one environment.
    key_id, private_key : SecretStr, optional
        Needed for orders, and by the real WebSocket for data too.
    group_contracts : int
        Contracts matched in 15 seconds above which the venue itself cancels and refuses our orders; 0 = no limit
        and no venue-side kill switch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tickers: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    environment: Literal["", "production", "demo", "local"] = ""
    base_url: str = ""
    ws_url: str = ""
    key_id: SecretStr | None = None
    private_key: SecretStr | None = None
    timeout_s: float = 5.0
    group_contracts: int = Field(default=10_000, ge=0, le=1_000_000)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        """Fill in the environment's addresses, and refuse two environments at once."""
        known = ENVIRONMENTS.get(self.environment or "production")
        base, stream = self.base_url, self.ws_url
        if known is not None:
            base, stream = base or known.base_url, stream or known.ws_url
        object.__setattr__(self, "base_url", base)
        object.__setattr__(self, "ws_url", stream)
        one_environment(base, stream, self.environment)
        return self


class KalshiLive:
    """One Kalshi for one node."""

    code = "KALSHI"
    currency = "USD"

    def __init__(self, settings: KalshiSettings) -> None:
        self.settings = settings
        self.signer: Signer | None = None
        if settings.key_id is not None and settings.private_key is not None:
            self.signer = Signer.from_credentials(
                KalshiCredentials(settings.key_id, settings.private_key)
            )
        self._session: aiohttp.ClientSession | None = None
        self._rest: KalshiRest | None = None
        self._filter = MarketFilter(settings.tickers, settings.series)
        self._shards: dict[str, int] = {}

    @property
    def rest(self) -> KalshiRest:
        """The REST client of an opened venue."""
        if self._rest is None:
            raise ConfigError(
                "Kalshi is not open yet", self.settings.base_url, "await open() first"
            )
        return self._rest

    async def open(self, also: Collection[str] = ()) -> list[Market]:
        """Open the session and load the markets, those of the instruments in `also` too.

        Raises
        ------
        MissingData
            If the settings name no market that can be traded.
        """
        self._session = venue_session()
        self._rest = KalshiRest(
            self._session, self.settings.base_url, self.signer, timeout_s=self.settings.timeout_s
        )
        if not self._filter.tickers and not self._filter.series:
            rows = await self.rest.markets(status="open")
            self._filter = MarketFilter(tuple(r.ticker for r in rows[:50]))
        named = (*self._filter.tickers, *sorted(split_instrument(i)[0] for i in also))
        self._filter = replace(self._filter, tickers=tuple(dict.fromkeys(named)))
        found: list[Market] = []
        loader = KalshiProvider(self.rest, self._filter, found.append, time.time_ns)
        await loader.load_all_async()
        self._shards.update(loader.shards)
        if not found:
            reasons = "; ".join(f"{t}: {why}" for t, why in loader.refused[:3])
            raise MissingData(
                "Kalshi has none of these markets open",
                self._filter,
                reasons or "name other tickers or series",
            )
        return found

    def _socket(self, on_frame: OnFrame, on_gap: OnGap, on_state: OnState) -> KalshiSocket:
        assert self._session is not None
        made = KalshiSocket(
            self._session,
            self.settings.ws_url,
            self.signer,
            on_frame,
            on_gap,
            on_state,
            clock_ms=self.rest.venue_ms,
        )
        made.stats.secrets = self.rest.answers.stats.secrets
        return made

    def provider(
        self, on_market: Callable[[Market], None], clock: Callable[[], int]
    ) -> KalshiProvider:
        """Return a provider of the same markets."""
        return KalshiProvider(self.rest, self._filter, on_market, clock)

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
    ) -> KalshiData:
        """Return the data client."""
        return KalshiData(
            name=name,
            config=config,
            cache=cache,
            clock=clock,
            provider=self.provider(on_market, clock.timestamp_ns),
            socket_of=self._socket,
            on_status=on_status,
            on_settled=on_settled,
        )

    def port(self, outcomes: Mapping[str, str], sent: Collection[SentOrder] = ()) -> KalshiPort:
        """Return the private side; earlier orders keep the outcome they were placed on."""
        sides = Sides()
        for cid, iid in outcomes.items():
            sides.remember(cid, split_instrument(iid)[1])
        return KalshiPort(
            self.rest,
            self._socket,
            sides,
            shards=self._shards,
            group_contracts=self.settings.group_contracts,
        )

    def hold(self, markets: Sequence[Market]) -> None:
        """Nothing to do: Kalshi tells positions by ticker, listed or not."""

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()


def live_venue(settings: Mapping[str, Any]) -> KalshiLive:
    """Return Kalshi for a node; unknown settings are refused."""
    return KalshiLive(checked(KalshiSettings, settings, "Kalshi", "docs/paper.md"))
