"""Polymarket's public catalogue (Gamma), indexer (Data v2) and location check: no key, read with retries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiohttp

from adapters.polymarket import schemas
from adapters.polymarket.rest import ClobRest, Limits
from core.domain.errors import VenueUncertain

GAMMA = "https://gamma-api.polymarket.com"
DATA = "https://data-api.polymarket.com"
GEOBLOCK = "https://polymarket.com/api/geoblock"
PAGE, IDS_PER_CALL, MAX_PAGES = 100, 20, 200


class Catalogue:
    """Markets, events, holdings and resolutions.

    Parameters
    ----------
    session : aiohttp.ClientSession
        Shared; closed by its owner.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        gamma_url: str = GAMMA,
        data_url: str = DATA,
        geoblock_url: str = GEOBLOCK,
        *,
        timeout_s: float = 10.0,
    ) -> None:
        limits = Limits()
        self._gamma = ClobRest(session, gamma_url, limits=limits, timeout_s=timeout_s)
        self._data = ClobRest(session, data_url, limits=limits, timeout_s=timeout_s)
        self._geo = ClobRest(session, geoblock_url, limits=limits, timeout_s=timeout_s)

    # -- Gamma ------------------------------------------------------------------------------
    async def markets(self, limit: int = 1_000, **params: Any) -> list[dict[str, Any]]:
        """Return market payloads by filter, following the cursor."""
        return await self._keyset("/markets/keyset", "markets", limit, params)

    async def events(self, limit: int = 500, **params: Any) -> list[dict[str, Any]]:
        """Return event payloads, with their markets, by filter."""
        return await self._keyset("/events/keyset", "events", limit, params)

    async def by_condition(self, conditions: Sequence[str]) -> list[dict[str, Any]]:
        """Return the markets with these condition ids, open and closed."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(conditions), PAGE):
            part = list(conditions[start : start + PAGE])
            for closed in ("false", "true"):
                found += await self.markets(condition_ids=part, closed=closed)
        return found

    async def _keyset(
        self, path: str, name: str, limit: int, params: dict[str, Any]
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor, seen = "", set[str]()
        base: list[tuple[str, str]] = [("limit", str(min(limit, PAGE)))]
        for key, value in params.items():
            many = value if isinstance(value, (list, tuple)) else [value]
            base += [(key, str(v)) for v in many]
        for _ in range(MAX_PAGES):
            asked = base + ([("after_cursor", cursor)] if cursor else [])
            page = await self._gamma.get(path, dict[str, Any], asked)  # type: ignore[arg-type]
            found = page.get(name)
            rows += [m for m in found if isinstance(m, dict)] if isinstance(found, list) else []
            cursor = str(page.get("next_cursor") or "")
            if not cursor or len(rows) >= limit:
                return rows[:limit]
            if cursor in seen:
                break
            seen.add(cursor)
        raise VenueUncertain(f"Polymarket's pages of {path} do not end", cursor)

    # -- Data v2 ----------------------------------------------------------------------------
    async def positions(self, user: str) -> list[schemas.PositionMsg]:
        """Return the open holdings of an address, as the indexer sees them."""
        rows: list[schemas.PositionMsg] = []
        params = {"user": user, "status": "OPEN", "limit": "500"}
        cursor = ""
        for _ in range(MAX_PAGES):
            page = await self._data.get(
                "/v2/positions",
                schemas.PositionsPage,
                params | ({"cursor": cursor} if cursor else {}),
            )
            rows.extend(page.data or ())
            more = page.pagination
            if more is None or not more.has_more or not more.next_cursor:
                return rows
            if more.next_cursor == cursor:
                break
            cursor = more.next_cursor
        raise VenueUncertain("Polymarket's pages of /v2/positions do not end", cursor)

    async def resolutions(self, conditions: Sequence[str]) -> list[schemas.ResolutionMsg]:
        """Return what the oracle says of these conditions."""
        rows: list[schemas.ResolutionMsg] = []
        for start in range(0, len(conditions), IDS_PER_CALL):
            part = ",".join(conditions[start : start + IDS_PER_CALL])
            page = await self._data.get(
                "/v2/resolutions", schemas.ResolutionsPage, {"condition_id": part}
            )
            rows.extend(page.data or ())
        return rows

    # -- location ---------------------------------------------------------------------------
    async def location(self) -> schemas.GeoblockMsg:
        """Return whether trading is blocked from here."""
        data = await self._geo.send("GET", "")
        return self._geo.answers.decoded(data, schemas.GeoblockMsg, "Polymarket's location answer")
