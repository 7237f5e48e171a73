"""Kalshi over REST: signed, paced, three error shapes, and a plain line between "no" and "perhaps".

Only reads and keyed creates are ever repeated. A timeout, a lost connection or a 5xx on a write raises
`VenueUncertain`: the caller must find out, not assume.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import aiohttp
import msgspec

from adapters.kalshi import schemas
from adapters.kalshi.parsing import format_count, format_price
from adapters.kalshi.signing import Signer
from adapters.token_bucket import Lane, TokenBucket
from core.domain.errors import VenueRefused, VenueUncertain

T = TypeVar("T")

PRODUCTION = "https://external-api.kalshi.com/trade-api/v2"
DEMO = "https://external-api.demo.kalshi.co/trade-api/v2"
ORDERS = "/portfolio/events/orders"
READ_COST, CREATE_COST, CANCEL_COST = 10.0, 10.0, 2.0
MAX_PAGES = 1_000


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _ErrorEnvelope(msgspec.Struct):
    error: _Error | str | None = None
    code: str = ""
    message: str = ""


def refusal(status: int, body: bytes) -> VenueRefused:
    """Return the error of a 4xx body in any of the three shapes, or of a body that is none of them."""
    try:
        found = msgspec.json.decode(body, type=_ErrorEnvelope)
    except msgspec.DecodeError:
        return VenueRefused("unreadable", "Kalshi refused with a body that is not JSON", status)
    if isinstance(found.error, str):
        return VenueRefused(found.error, f"Kalshi refused: {found.error}", status)
    inner = found.error or _Error(found.code, found.message)
    code = inner.code or "unknown"
    return VenueRefused(code, f"Kalshi refused: {inner.message or code}", status)


class KalshiRest:
    """One session against one Kalshi environment.

    Parameters
    ----------
    session : aiohttp.ClientSession
        Shared; closed by its owner.
    base_url : str
        Up to and including ``/trade-api/v2``.
    signer : Signer, optional
        None for public reads only.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str = PRODUCTION,
        signer: Signer | None = None,
        *,
        read: TokenBucket | None = None,
        write: TokenBucket | None = None,
        timeout_s: float = 5.0,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.session, self.base_url, self.signer = session, base_url.removesuffix("/"), signer
        self.read = read or TokenBucket(200.0, 400.0)
        self.write = write or TokenBucket(100.0, 100.0)
        self.timeout = aiohttp.ClientTimeout(total=timeout_s)
        self.clock_ms = clock_ms

    # -- one request ------------------------------------------------------------------------
    async def _headers(self, method: str, url: str) -> dict[str, str]:
        if self.signer is None:
            return {}
        if self.signer.slow:
            return await asyncio.to_thread(self.signer.headers, method, url, self.clock_ms())
        return self.signer.headers(method, url, self.clock_ms())

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: bytes | None = None,
        cost: float,
        lane: Lane,
    ) -> bytes:
        """Send once; raise `VenueRefused` on a clear no and `VenueUncertain` on anything unclear."""
        bucket = self.read if method == "GET" else self.write
        await bucket.take(cost, lane)
        url = self.base_url + path
        headers = await self._headers(method, url)  # after the wait: the signed time must be fresh
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self.session.request(
                method, url, params=params, data=body, headers=headers, timeout=self.timeout
            ) as response:
                data = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise VenueUncertain(
                f"no answer from Kalshi to {method} {path}", type(exc).__name__
            ) from exc
        if status == 429:
            bucket.penalise(cost / bucket.rate)
            raise VenueRefused("rate_limited", "Kalshi says too many requests", status)
        if status >= 500:
            raise VenueUncertain(f"Kalshi failed on {method} {path}", status)
        if status >= 400:
            raise refusal(status, data)
        return data

    async def _get(
        self, path: str, kind: type[T], params: dict[str, str] | None = None, tries: int = 4
    ) -> T:
        """Read with retries; reads are safe to repeat."""
        for attempt in range(tries):
            try:
                data = await self._send("GET", path, params=params, cost=READ_COST, lane=Lane.READ)
                return msgspec.json.decode(data, type=kind)
            except msgspec.DecodeError as exc:
                raise VenueUncertain(
                    f"Kalshi answered {path} with a body we cannot read", str(exc)
                ) from exc
            except (VenueUncertain, VenueRefused) as exc:
                if isinstance(exc, VenueRefused) and exc.code != "rate_limited":
                    raise
                if attempt == tries - 1:
                    raise
                await asyncio.sleep(0.05 * 4**attempt)
        raise AssertionError("unreachable")

    async def _pages(self, path: str, kind: type[T], params: dict[str, str]) -> list[T]:
        """Read all pages; a cursor that repeats or never ends raises."""
        pages: list[T] = []
        cursor, seen = "", set[str]()
        for _ in range(MAX_PAGES):
            page = await self._get(path, kind, params | ({"cursor": cursor} if cursor else {}))
            pages.append(page)
            cursor = getattr(page, "cursor", None) or ""
            if not cursor:
                return pages
            if cursor in seen:
                break
            seen.add(cursor)
        raise VenueUncertain(f"Kalshi's pages of {path} do not end", cursor)

    # -- public -----------------------------------------------------------------------------
    async def markets(self, **params: str) -> list[schemas.MarketMsg]:
        """Return markets by ``tickers``, ``series_ticker``, ``event_ticker`` or ``status``; combos are left out."""
        pages = await self._pages(
            "/markets", schemas.MarketsPage, {"limit": "1000", "mve_filter": "exclude", **params}
        )
        return [m for page in pages for m in page.markets]

    async def market(self, ticker: str) -> schemas.MarketMsg:
        """Return one market."""
        return (await self._get(f"/markets/{ticker}", schemas.MarketEnvelope)).market

    async def series(self, ticker: str) -> schemas.SeriesMsg:
        """Return one series: fee type and multiplier."""
        return (await self._get(f"/series/{ticker}", schemas.SeriesEnvelope)).series

    async def orderbook(self, ticker: str) -> schemas.OrderbookFp:
        """Return the book: bids of both sides, best last."""
        return (
            await self._get(f"/markets/{ticker}/orderbook", schemas.OrderbookEnvelope)
        ).orderbook_fp

    # -- own state --------------------------------------------------------------------------
    async def balance(self) -> schemas.BalanceMsg:
        """Return free cash."""
        return await self._get("/portfolio/balance", schemas.BalanceMsg)

    async def positions(self) -> list[schemas.PositionMsg]:
        """Return signed positions of unsettled markets."""
        pages = await self._pages(
            "/portfolio/positions",
            schemas.PositionsPage,
            {"limit": "1000", "count_filter": "position"},
        )
        return [p for page in pages for p in page.market_positions]

    async def orders(self, *, historical: bool = False, **params: str) -> list[schemas.OrderMsg]:
        """Return own orders, live or archived."""
        path = "/historical/orders" if historical else "/portfolio/orders"
        pages = await self._pages(path, schemas.OrdersPage, {"limit": "1000", **params})
        return [o for page in pages for o in page.orders]

    async def order(self, order_id: str) -> schemas.OrderMsg:
        """Return one own order."""
        return (await self._get(f"/portfolio/orders/{order_id}", schemas.OrderEnvelope)).order

    async def fills(self, *, historical: bool = False, **params: str) -> list[schemas.FillMsg]:
        """Return own fills, live or archived."""
        path = "/historical/fills" if historical else "/portfolio/fills"
        pages = await self._pages(path, schemas.FillsPage, {"limit": "1000", **params})
        return [f for page in pages for f in page.fills]

    async def settlements(self, **params: str) -> list[schemas.SettlementMsg]:
        """Return what resolved markets paid."""
        pages = await self._pages(
            "/portfolio/settlements", schemas.SettlementsPage, {"limit": "1000", **params}
        )
        return [s for page in pages for s in page.settlements]

    # -- writes: sent once ------------------------------------------------------------------
    async def create(self, order: schemas.CreateOrderBody) -> schemas.CreateOrderAck:
        """Create an order.

        Raises
        ------
        VenueRefused
            A clear no, a duplicate client order id (409, code kept), or a 2xx without order id.
        VenueUncertain
            Anything else: the order may be there.
        """
        data = await self._send(
            "POST", ORDERS, body=msgspec.json.encode(order), cost=CREATE_COST, lane=Lane.ORDER
        )
        try:
            ack = msgspec.json.decode(data, type=schemas.CreateOrderAck)
        except msgspec.DecodeError as exc:
            raise VenueUncertain(
                "Kalshi answered a create with a body we cannot read", str(exc)
            ) from exc
        if not ack.order_id:
            raise VenueRefused("no_order_id", "Kalshi answered a create without an order id", 200)
        return ack

    async def cancel(self, order_id: str, ticker: str) -> schemas.CancelAck:
        """Cancel an order; `ticker` routes the call to the right shard."""
        data = await self._send(
            "DELETE",
            f"{ORDERS}/{order_id}",
            params={"market_ticker": ticker},
            cost=CANCEL_COST,
            lane=Lane.CANCEL,
        )
        return msgspec.json.decode(data, type=schemas.CancelAck)

    async def amend(
        self, order_id: str, ticker: str, side: str, price: Decimal, count: Decimal
    ) -> schemas.CreateOrderAck:
        """Change price or total count (filled plus wanted resting)."""
        body = {
            "ticker": ticker,
            "side": side,
            "price": format_price(price),
            "count": format_count(count),
        }
        data = await self._send(
            "POST",
            f"{ORDERS}/{order_id}/amend",
            body=msgspec.json.encode(body),
            cost=CREATE_COST,
            lane=Lane.ORDER,
        )
        return msgspec.json.decode(data, type=schemas.CreateOrderAck)

    async def cancel_everything(self, orders: list[tuple[str, str]]) -> list[str]:
        """Cancel (order id, ticker) pairs one by one, past errors; return the ids that could not be cancelled."""
        left: list[str] = []
        for order_id, ticker in orders:
            try:
                await self.cancel(order_id, ticker)
            except VenueRefused as exc:
                if exc.status != 404:
                    left.append(order_id)
            except VenueUncertain:
                left.append(order_id)
        return left
