"""What the stored listings of a Kalshi download say: newest market payloads, their series, the cut."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from adapters.download import RawStore
from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.errors import UsageError

#: Words of a market that will not change any more.
FINAL = frozenset({"finalized", "settled"})


def seconds_of(value: Any) -> int:
    """Return Unix seconds of an RFC 3339 text or a number; 0 for unset and unreadable values."""
    if isinstance(value, bool) or value in (None, ""):
        return 0
    if isinstance(value, int | float):
        return int(value)
    text = str(value)
    if text.startswith("0001"):
        return 0
    try:
        return max(0, ns_from_iso(text) // NS_PER_SECOND)
    except (UsageError, OverflowError):
        return 0


def markets_of(store: RawStore) -> dict[str, dict[str, Any]]:
    """Return the newest payload of every market in the listings, by ticker.

    A market found by its series carries that series under ``_series``.
    """
    newest: dict[str, dict[str, Any]] = {}
    for row in store.rows("markets"):
        market = row.value
        if not isinstance(market, dict) or not isinstance(market.get("ticker"), str):
            continue
        known = newest.get(market["ticker"])
        _, found, series = row.key.partition("series_ticker=")
        if found:
            market["_series"] = series
        elif known is not None and "_series" in known:
            market["_series"] = known["_series"]
        if known is None or _age(market) >= _age(known):
            newest[market["ticker"]] = market
    return newest


def _age(market: Mapping[str, Any]) -> tuple[int, bool]:
    return seconds_of(market.get("updated_time")), bool(market.get("result"))


def events_of(store: RawStore) -> dict[str, dict[str, Any]]:
    """Return every event payload by ticker."""
    return {
        row.value["event_ticker"]: row.value
        for row in store.rows("events")
        if isinstance(row.value, dict) and isinstance(row.value.get("event_ticker"), str)
    }


def series_of_markets(store: RawStore) -> dict[str, str]:
    """Return the series of each market ticker: that of its event, or of the listing it came from."""
    events = events_of(store)
    out = {}
    for ticker, market in markets_of(store).items():
        event = events.get(str(market.get("event_ticker")), {})
        series = str(event.get("series_ticker") or market.get("_series") or "")
        if series:
            out[ticker] = series
    return out


def cutoff_of(store: RawStore) -> dict[str, int]:
    """Return where live data begins, in seconds: for trades and for settled markets."""
    cut = {"trades": 0, "markets": 0}
    for row in store.rows("cutoff"):
        if isinstance(row.value, dict):
            cut["trades"] = seconds_of(row.value.get("trades_created_ts"))
            cut["markets"] = seconds_of(row.value.get("market_settled_ts"))
    return cut


def life_of(market: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return when a market could trade, in seconds; None when its times cannot be read."""
    opened, closed = seconds_of(market.get("open_time")), seconds_of(market.get("close_time"))
    if not opened or closed <= opened:
        return None
    return opened, closed + 1


def may_have_traded(market: Mapping[str, Any]) -> bool:
    """Return whether asking for trades can bring any."""
    if market.get("status") not in FINAL:
        return True
    volume = market.get("volume_fp", market.get("volume"))
    try:
        return volume is None or Decimal(str(volume)) > 0
    except InvalidOperation:
        return True
