"""Kalshi over REST: signed, paced, three error shapes, and a plain line between "no" and "perhaps".

Only reads and keyed creates are ever repeated. A timeout, a lost connection or a 5xx on a write raises
`VenueUncertain`: the caller must find out, not assume.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

import aiohttp
import msgspec

from adapters.answers import UNREADABLE, Answers, asked_pause, body_of, repeated
from adapters.kalshi import schemas
from adapters.kalshi.limits import BATCH, ORDER, ORDERS, READ_ORDER, Costs, chunks, resize
from adapters.kalshi.parsing import format_count, format_price
from adapters.kalshi.ready import ReadySignature, SignedHeaders
from adapters.kalshi.signing import Signer
from adapters.mends import LIMIT_MEND
from adapters.token_bucket import Lane, TokenBucket
from core.domain.errors import VenueRefused, VenueUncertain

T = TypeVar("T")

PRODUCTION = "https://external-api.kalshi.com/trade-api/v2"
GROUPS = "/portfolio/order_groups"
MAX_PAGES = 1_000
#: Headers signed for a time further than this from the venue's, in ms, are signed again.
FRESH_MS = 1_000


MENDS = dict.fromkeys(
    (401, 403),
    "is the key of this environment (--environment demo or production)? else check the clock, or make a new key",
)


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
    except UNREADABLE:
        return VenueRefused(
            "unreadable",
            "Kalshi refused with a body that is not JSON",
            status,
            MENDS.get(status, ""),
        )
    if isinstance(found.error, str):
        return VenueRefused(
            found.error[:80], f"Kalshi refused: {found.error[:200]}", status, MENDS.get(status, "")
        )
    inner = found.error or _Error(found.code, found.message)
    code = inner.code[:80] or "unknown"
    words = inner.message[:200] or code
    return VenueRefused(code, f"Kalshi refused: {words}", status, MENDS.get(status, ""))


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
        self.costs, self.tier = Costs(), ""
        self.answers = Answers()
        if signer is not None:
            self.answers.know(signer.key_id)
        self.timeout = aiohttp.ClientTimeout(total=timeout_s)
        self.clock_ms = clock_ms
        self.before_order: Callable[[], None] = lambda: None
        self._ready: ReadySignature | None = None

    def keep_ready(self) -> None:
        """Keep a signature for the next create from now on, where one takes time worth hiding; see `close`."""
        if self.signer is not None and self.signer.slow:
            self._ready = ReadySignature(self._signed_create, self.venue_ms)
            self._ready.start()

    def close(self) -> None:
        """Sign nothing more by itself."""
        if self._ready is not None:
            self._ready.stop()

    def _signed_create(self, at_ms: int) -> dict[str, str]:
        assert self.signer is not None
        return self.signer.headers("POST", self.base_url + ORDERS, at_ms)

    def sign_create(self) -> SignedHeaders | None:
        """Return the signature of a create: the one in store, else one that begins now on a worker thread.

        None when a signature takes no time worth hiding.
        """
        if self.signer is None or not self.signer.slow:
            return None
        kept = self._ready.take() if self._ready is not None else None
        if kept is not None:
            return kept
        now, loop = self.venue_ms(), asyncio.get_running_loop()
        return SignedHeaders(now, loop.run_in_executor(None, self._signed_create, now))

    # -- one request ------------------------------------------------------------------------
    async def _headers(
        self, method: str, url: str, signed: SignedHeaders | None = None, lane: Lane = Lane.READ
    ) -> dict[str, str]:
        if self.signer is None:
            return {}
        if signed is not None:
            headers = await signed.headers
            if abs(self.venue_ms() - signed.at_ms) <= FRESH_MS:
                return headers
        # a cancel is signed here: an order sent after it must not overtake it while a thread is woken
        if self.signer.slow and lane is not Lane.CANCEL:
            return await asyncio.to_thread(self.signer.headers, method, url, self.venue_ms())
        return self.signer.headers(method, url, self.venue_ms())

    def venue_ms(self) -> int:
        """Return the venue's time as far as it is known: what is signed must be fresh there, or no cancel goes."""
        return self.clock_ms() + int(self.answers.skew_s * 1000)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: bytes | None = None,
        cost: float,
        lane: Lane,
        signed: SignedHeaders | None = None,
    ) -> bytes:
        """Send once; raise `VenueRefused` on a clear no and `VenueUncertain` on anything unclear."""
        bucket = self.read if method == "GET" else self.write
        await bucket.take(cost, lane)
        if signed is not None:
            await signed.headers
        for again in (lane is not Lane.ORDER, False):
            if lane is Lane.ORDER:
                self.before_order()  # trading may have been halted meanwhile
            status, headers, data, moved = await self._exchange(
                method, path, params, body, signed, lane
            )
            if status != 401 or not moved or not again:
                break  # the clocks were found apart by this answer: signed by the venue's time it is asked again
        if status == 429:
            asked = asked_pause(headers, self.clock_ms() / 1000)
            self.answers.limited(bucket.penalise(asked))
            raise VenueRefused("rate_limited", "Kalshi says too many requests", status, LIMIT_MEND)
        bucket.relax()
        if status >= 500:
            raise VenueUncertain(f"Kalshi failed on {method} {path}", status)
        if status >= 400:
            raise refusal(status, self.answers.hide(data))
        return data

    async def _exchange(
        self,
        method: str,
        path: str,
        params: dict[str, str] | None,
        body: bytes | None,
        signed: SignedHeaders | None,
        lane: Lane,
    ) -> tuple[int, Mapping[str, str], bytes, bool]:
        """Send one request; return status, headers, body, and whether the clocks were found to have moved apart."""
        url = self.base_url + path
        headers = await self._headers(
            method, url, signed, lane
        )  # after the wait: the signed time must be fresh
        if body is not None:
            headers["Content-Type"] = "application/json"
        time_s = asyncio.get_running_loop().time
        sent = time_s()
        try:
            async with self.session.request(
                method, url, params=params, data=body, headers=headers, timeout=self.timeout
            ) as response:
                self.answers.stats.frames += 1
                moved = self.answers.timed(
                    response.headers, self.clock_ms() / 1000, time_s() - sent
                )
                return response.status, response.headers, await body_of(response), moved
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            raise VenueUncertain(
                f"no answer from Kalshi to {method} {path}", type(exc).__name__
            ) from exc

    async def _get(
        self,
        path: str,
        kind: type[T],
        params: dict[str, str] | None = None,
        tries: int = 4,
        template: str = "",
    ) -> T:
        """Read with retries; reads are safe to repeat."""
        cost = self.costs.of("GET", template or path)

        async def ask() -> T:
            data = await self._send("GET", path, params=params, cost=cost, lane=Lane.READ)
            return self.answers.decoded(data, kind, f"Kalshi's answer to {path}")

        return await repeated(ask, tries)

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

    async def orderbook(self, ticker: str) -> schemas.BookMsg:
        """Return the whole book of a market; it says neither when nor after which frame it was so."""
        answer = await self._get(f"/markets/{ticker}/orderbook", schemas.BookEnvelope, tries=1)
        return answer.orderbook_fp

    async def series(self, ticker: str) -> schemas.SeriesMsg:
        """Return one series: fee type and multiplier."""
        return (await self._get(f"/series/{ticker}", schemas.SeriesEnvelope)).series

    async def event(self, ticker: str) -> schemas.EventMsg:
        """Return one event: its fee terms win over the series', and whether its markets exclude each other."""
        return (await self._get(f"/events/{ticker}", schemas.EventEnvelope)).event

    # -- limits -----------------------------------------------------------------------------
    async def read_limits(self) -> str:
        """Take over the account's buckets and the costs in force; return the tier."""
        told = await self._get("/account/limits", schemas.AccountLimits)
        resize(self.read, told.read)
        resize(self.write, told.write)
        self.costs.take_over(await self._get("/account/endpoint_costs", schemas.EndpointCosts))
        self.tier = told.usage_tier
        return self.tier

    async def cutoff(self) -> schemas.Cutoff:
        """Return the times before which own data is in the archive only."""
        return await self._get("/historical/cutoff", schemas.Cutoff)

    async def status(self) -> schemas.ExchangeStatus:
        """Return whether the exchange trades."""
        return await self._get("/exchange/status", schemas.ExchangeStatus)

    async def api_keys(self) -> tuple[schemas.ApiKeyMsg, ...]:
        """Return the account's keys with what each may do."""
        return (await self._get("/api_keys", schemas.ApiKeys)).api_keys

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
        found = await self._get(
            f"/portfolio/orders/{order_id}", schemas.OrderEnvelope, template=READ_ORDER
        )
        return found.order

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
    async def create(
        self, order: schemas.CreateOrderBody, signed: SignedHeaders | None = None
    ) -> schemas.CreateOrderAck:
        """Create an order; `signed` is what `sign_create` began.

        Raises
        ------
        VenueRefused
            A clear no, or a duplicate client order id (409, code kept).
        VenueUncertain
            Anything else, a 2xx without an order id too: the order may be there.
        """
        body = msgspec.json.encode(order)
        data = await self._write("POST", ORDERS, body=body, lane=Lane.ORDER, signed=signed)
        ack = self._read(data, schemas.CreateOrderAck, "a create")
        if not ack.order_id:
            raise VenueUncertain("Kalshi answered a create without an order id", "status 200")
        return ack

    async def create_batch(
        self, orders: Sequence[schemas.CreateOrderBody]
    ) -> list[schemas.BatchItem | VenueRefused | VenueUncertain]:
        """Create orders in batches that fit the write bucket; each is answered for itself, in order.

        A batch without a readable answer leaves every order of it uncertain.
        """
        out: list[schemas.BatchItem | VenueRefused | VenueUncertain] = []
        for part in chunks(orders, self.costs.of("POST", BATCH), self.write.capacity):
            body = msgspec.json.encode({"orders": part})
            try:
                data = await self._write("POST", BATCH, body=body, lane=Lane.ORDER, n=len(part))
                rows = self._read(data, schemas.BatchAnswer, "a batch").orders
            except (VenueRefused, VenueUncertain) as exc:
                out += [exc] * len(part)
                continue
            told = {r.client_order_id: r for r in rows if r.client_order_id}
            out += [_item(told.get(o.client_order_id), o.client_order_id) for o in part]
        return out

    async def cancel(self, order_id: str, ticker: str) -> schemas.CancelAck:
        """Cancel an order; `ticker` routes the call to the right shard."""
        path = f"{ORDERS}/{order_id}"
        data = await self._write(
            "DELETE", path, params={"market_ticker": ticker}, lane=Lane.CANCEL, template=ORDER
        )
        return self._read(data, schemas.CancelAck, "a cancel")

    async def cancel_batch(
        self, orders: Sequence[tuple[str, str]]
    ) -> dict[str, VenueRefused | VenueUncertain]:
        """Cancel (order id, ticker) pairs in batches; return those that were not cancelled, and why."""
        left: dict[str, VenueRefused | VenueUncertain] = {}
        for part in chunks(orders, self.costs.of("DELETE", BATCH), self.write.capacity):
            items = [{"order_id": order_id, "market_ticker": ticker} for order_id, ticker in part]
            body = msgspec.json.encode({"orders": items})
            try:
                data = await self._write("DELETE", BATCH, body=body, lane=Lane.CANCEL, n=len(part))
                rows = self._read(data, schemas.BatchAnswer, "a batch of cancels").orders
            except (VenueRefused, VenueUncertain) as exc:
                left |= dict.fromkeys((order_id for order_id, _ in part), exc)
                continue
            told = {r.order_id: r for r in rows}
            for order_id, _ in part:
                verdict = _item(told.get(order_id), order_id)
                if isinstance(verdict, (VenueRefused, VenueUncertain)):
                    left[order_id] = verdict
        return left

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
        data = await self._write(
            "POST", f"{ORDERS}/{order_id}/amend", body=msgspec.json.encode(body), lane=Lane.ORDER
        )
        return self._read(data, schemas.CreateOrderAck, "an amend")

    async def decrease(self, order_id: str, ticker: str, by: Decimal) -> schemas.CreateOrderAck:
        """Make an order smaller by `by` contracts; it keeps its place and needs no price on the grid."""
        body = {"reduce_by": format_count(by), "market_ticker": ticker}
        data = await self._write(
            "POST", f"{ORDERS}/{order_id}/decrease", body=msgspec.json.encode(body), lane=Lane.ORDER
        )
        return self._read(data, schemas.CreateOrderAck, "a decrease")

    # -- order groups -----------------------------------------------------------------------
    async def create_group(self, contracts: int, shard: int) -> str:
        """Create an order group on one shard; return its id. No order: it is made while trading is halted too.

        Parameters
        ----------
        contracts : int
            Matched contracts in any 15 seconds above which the venue cancels the group and closes it.
        """
        body = {"contracts_limit_fp": format_count(Decimal(contracts)), "exchange_index": shard}
        data = await self._write(
            "POST", f"{GROUPS}/create", body=msgspec.json.encode(body), lane=Lane.CANCEL
        )
        return self._read(data, schemas.GroupAck, "an order group").order_group_id

    async def group(self, group_id: str, shard: int) -> schemas.GroupMsg:
        """Return one order group."""
        params = {"exchange_index": str(shard)}
        return await self._get(f"{GROUPS}/{group_id}", schemas.GroupMsg, params)

    async def trigger_group(self, group_id: str, shard: int) -> None:
        """Cancel every order of a group; the venue refuses new ones until `reset_group`."""
        await self._on_group("PUT", f"{GROUPS}/{group_id}/trigger", shard)

    async def reset_group(self, group_id: str, shard: int) -> None:
        """Let a triggered group take orders again."""
        await self._on_group("PUT", f"{GROUPS}/{group_id}/reset", shard)

    async def delete_group(self, group_id: str, shard: int) -> None:
        """Remove a group; its resting orders are cancelled."""
        await self._on_group("DELETE", f"{GROUPS}/{group_id}", shard)

    async def _on_group(self, method: str, path: str, shard: int) -> None:
        params = {"exchange_index": str(shard)}
        body = b"{}" if method == "PUT" else None
        await self._write(method, path, params=params, body=body, lane=Lane.CANCEL)

    # -- inside -----------------------------------------------------------------------------
    async def _write(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: bytes | None = None,
        lane: Lane,
        n: int = 1,
        template: str = "",
        signed: SignedHeaders | None = None,
    ) -> bytes:
        cost = self.costs.of(method, template or path) * n
        return await self._send(
            method, path, params=params, body=body, cost=cost, lane=lane, signed=signed
        )

    def _read(self, data: bytes, kind: type[T], what: str) -> T:
        """Decode the answer to a write; what cannot be read may have happened."""
        return self.answers.decoded(data, kind, f"Kalshi's answer to {what}")


def _item(
    row: schemas.BatchItem | None, order_id: str
) -> schemas.BatchItem | VenueRefused | VenueUncertain:
    """Return one item of a batch, or why there is none."""
    if row is None:
        return VenueUncertain("Kalshi's answer to a batch does not mention an order", order_id)
    if row.error is not None:
        code = row.error.code or "unknown"
        status = {"not_found": 404, "order_not_found": 404, "order_already_exists": 409}.get(
            code, 400
        )
        return VenueRefused(code, f"Kalshi refused: {row.error.message or code}", status)
    if not row.order_id:
        return VenueUncertain("Kalshi answered a batch item without an order id", order_id)
    return row
