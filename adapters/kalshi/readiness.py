"""What must be true of a Kalshi key and account before real orders leave: each thing by name, with its mend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from adapters.kalshi.environments import one_environment
from adapters.kalshi.live import live_venue
from adapters.kalshi.rest import KalshiRest
from core.domain.errors import VenueRefused
from core.engine.live.venue import Finding, found

#: What a trading node needs of a key; anything that moves money is too much.
NEEDED = frozenset({"read", "write::trade"})
WHOLE = "write"
MAKE_KEY = "make a key with the scopes read and write::trade on kalshi.com (Account, API keys)"


async def findings(settings: Mapping[str, Any]) -> list[Finding]:
    """Return what was found of environment, exchange, key, its scopes and the balance.

    Nothing here raises for a venue that says no or cannot be asked: that is a finding too.
    """
    venue = live_venue(settings)
    chosen = venue.settings
    out = [
        await found(
            "environment",
            lambda: _environment(chosen.base_url, chosen.ws_url, chosen.environment),
        )
    ]
    if not out[0].good:
        return out  # a signed request to the wrong place is not sent to find out
    async with aiohttp.ClientSession() as session:
        rest = KalshiRest(session, chosen.base_url, venue.signer, timeout_s=chosen.timeout_s)
        out.append(await found("exchange", lambda: _exchange(rest)))
        if venue.signer is None:
            return out  # the missing key is named by the caller
        key_id = venue.signer.key_id.get_secret_value()
        key = await found("key", lambda: _key(rest, out[0].seen))
        out.append(key)
        if key.good:
            out.append(await found("permissions", lambda: _scopes(rest, key_id)))
            out.append(await found("balance", lambda: _balance(rest)))
    return out


async def _environment(base_url: str, ws_url: str, wanted: str) -> Finding:
    return Finding("environment", True, one_environment(base_url, ws_url, wanted))


async def _exchange(rest: KalshiRest) -> Finding:
    status = await rest.status()
    return Finding(
        "exchange", status.trading_active, "open" if status.trading_active else "trading is paused",
        "wait until Kalshi trades again (beta paper goes on meanwhile)",
    )  # fmt: skip


async def _key(rest: KalshiRest, environment: str) -> Finding:
    try:
        await rest.balance()
    except VenueRefused as exc:
        if exc.status not in (401, 403):
            raise
        other = "production" if environment == "demo" else "demo"
        return Finding(
            "key", False, f"refused by the {environment} environment ({exc.code})",
            f"if the key is of the {other} environment: --environment {other}; else check the clock, or make a new key",
        )  # fmt: skip
    return Finding("key", True, f"accepted by the {environment} environment")


async def _scopes(rest: KalshiRest, key_id: str) -> Finding:
    own = [k for k in await rest.api_keys() if k.api_key_id == key_id]
    if not own:
        return Finding("permissions", False, "the venue does not list this key", MAKE_KEY)
    scopes = set(own[0].scopes)
    can = scopes | (NEEDED if WHOLE in scopes else set())
    if missing := sorted(NEEDED - can):
        return Finding("permissions", False, f"the key lacks {', '.join(missing)}", MAKE_KEY)
    extra = sorted(s for s in scopes - NEEDED if s.startswith("write"))
    if extra:
        return Finding(
            "permissions", False, f"the key may do more than trade: {', '.join(extra)}", MAKE_KEY
        )
    return Finding("permissions", True, "trade only")


async def _balance(rest: KalshiRest) -> Finding:
    told = await rest.balance()
    return Finding(
        "balance", told.balance > 0, f"${told.balance / 100:.2f} free", "deposit on kalshi.com",
    )  # fmt: skip
