"""What must be true of place, wallet and account before real orders leave: each thing by name, with its mend."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import aiohttp

from adapters.polymarket.catalogue import Catalogue
from adapters.polymarket.live import (
    RELAYER_KEY,
    RELAYER_MEND,
    PolymarketSettings,
    live_venue,
)
from adapters.polymarket.preflight import MAX_SKEW_S, VERSIONS
from adapters.polymarket.relayer.signing import kind_of
from adapters.polymarket.rest import ClobRest
from adapters.polymarket.signing import Wallet
from core.domain.errors import ConfigError
from core.engine.live.venue import Finding, found

APPROVE = "approve the exchange contracts for your dollars on polymarket.com (make one trade there)"


async def findings(settings: Mapping[str, Any]) -> list[Finding]:
    """Return what was found of place, clock, order format, account, balance, allowances and collecting.

    Nothing here raises for a venue that says no or cannot be asked: that is a finding too. Without a key only
    what needs none is looked at.
    """
    venue = live_venue(settings)
    chosen = venue.settings
    async with aiohttp.ClientSession() as session:
        rest = ClobRest(session, chosen.clob_url, venue.wallet, venue.api_key)
        catalogue = Catalogue(session, chosen.gamma_url, chosen.data_url, chosen.geoblock_url)
        out = [
            await found("geoblock", lambda: _place(catalogue)),
            await found("venue clock", lambda: _clock(rest)),
            await found("order format", lambda: _format(rest)),
        ]
        if venue.wallet is not None:
            key = await found("key", lambda: _key(rest))
            out.append(key)
            if key.good:
                out.append(await found("closed-only", lambda: _account(rest)))
                out += await _money(rest)
            out.append(_collect(chosen, venue.wallet))
    return out


def _collect(chosen: PolymarketSettings, wallet: Wallet) -> Finding:
    """Return whether pairs come back while the node runs, and what that lacks."""
    if not chosen.collect:
        return Finding(
            "collect", True, "off: the money of pairs and winners stays locked; --collect"
        )
    if chosen.relayer_key is None:
        return Finding("collect", False, f"no {RELAYER_KEY}", RELAYER_MEND)
    try:
        kind = kind_of(wallet)
    except ConfigError as exc:
        return Finding("collect", False, f"{exc.what}: {exc.seen}", exc.mend)
    seen = f"on, at most {chosen.collect_cap} a call and {chosen.collect_day_cap} in 24 hours"
    return Finding("collect", True, f"{seen} ({kind} wallet)")


async def _place(catalogue: Catalogue) -> Finding:
    place = await catalogue.location()
    where = f"{place.country} {place.region}".strip() or "not said"
    return Finding(
        "geoblock", not place.blocked, f"{where}{', blocked' if place.blocked else ''}",
        "run where Polymarket permits it; do not route around the block",
    )  # fmt: skip


async def _clock(rest: ClobRest) -> Finding:
    before = time.time()
    skew = await rest.time_s() - (before + time.time()) / 2
    return Finding(
        "venue clock", abs(skew) <= MAX_SKEW_S, f"{skew:+.1f} s apart",
        "synchronise the clock: sudo systemctl restart systemd-timesyncd",
    )  # fmt: skip


async def _format(rest: ClobRest) -> Finding:
    version = await rest.version()
    return Finding(
        "order format", not version or version in VERSIONS, version or "not said", "upgrade beta-trader"
    )  # fmt: skip


async def _key(rest: ClobRest) -> Finding:
    await rest.keys()
    return Finding("key", True, "accepted")


async def _account(rest: ClobRest) -> Finding:
    closed = await rest.closed_only()
    return Finding(
        "closed-only", not closed, "may only close positions" if closed else "may open positions",
        "close them on polymarket.com; the account cannot open new ones",
    )  # fmt: skip


async def _money(rest: ClobRest) -> list[Finding]:
    """Return balance and allowances: both must be there, and the exchange sees a deposit only when told to look."""
    try:
        told = await rest.collateral()
        dollars = int(told.balance) / 1_000_000
        granted = {name: int(amount) for name, amount in (told.allowances or {}).items()}
    except Exception as exc:
        return [Finding("balance", False, f"{type(exc).__name__}: {exc}"[:160], "try again")]
    lacking = sorted(name for name, amount in granted.items() if amount <= 0)
    seen = f"none for {', '.join(lacking)}" if lacking else f"granted to {len(granted)} contracts"
    return [
        Finding("balance", dollars > 0, f"${dollars:.2f}", "deposit dollars on polymarket.com"),
        Finding("allowance", bool(granted) and not lacking, seen if granted else "none", APPROVE),
    ]
