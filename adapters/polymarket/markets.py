"""Gamma payloads to domain markets and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from adapters.polymarket.categories import category_of
from adapters.polymarket.grid import grid_from_tick
from adapters.polymarket.history_rows import listed, seconds_of, tokens_of
from adapters.polymarket.terms import schedule_from_gamma
from core.domain.clock import NS_PER_SECOND
from core.domain.errors import CorruptData, FeeError
from core.domain.market import Event, Market, MarketStatus, Outcome
from core.domain.money import ONE, decimal_of

VENUE = "POLYMARKET"
HALF = Decimal("0.5")
#: Words of ``umaResolutionStatus`` that mean the payout is final; markets of 2024 and some later ones have none.
RESOLVED = frozenset({"", "resolved", "settled"})


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a market paid and when that was known."""

    payouts: tuple[Decimal, ...]
    ts_ns: int


def instrument_id(condition: str, token: str) -> str:
    """Return ``{condition}-{token}.POLYMARKET``."""
    return f"{condition}-{token}.{VENUE}"


def condition_of(instrument: str) -> str:
    """Return the condition of an instrument id; tokens are numbers, conditions of a replay may have dashes."""
    return instrument.rpartition("-")[0]


def market_from_gamma(market: Mapping[str, Any], event: Mapping[str, Any] | None = None) -> Market:
    """Return the market of a Gamma payload, without its settlement.

    `close_ns` is the scheduled end, never the hour it was resolved: a strategy must not know that.

    Raises
    ------
    CorruptData
        If condition, tokens, outcomes or the scheduled end are missing.
    MarketError, FeeError
        If the tick or the fee terms cannot be used.
    """
    event = event or {}
    condition, tokens = str(market.get("conditionId") or ""), tokens_of(market)
    names = [str(name) for name in listed(market.get("outcomes"))]
    if not condition or len(tokens) < 2 or len(tokens) != len(names):
        raise CorruptData(
            "a Gamma market lacks its condition, tokens or outcomes",
            f"{market.get('slug')}: {len(tokens)} tokens, {len(names)} outcomes",
            "leave this market out: its outcomes cannot be told apart",
        )
    close_s = seconds_of(market.get("endDate"))
    category = category_of_tags(event, market)
    if not close_s:
        raise CorruptData(
            "a Gamma market has no scheduled end",
            market.get("slug"),
            "leave this market out: nothing says when it ends",
        )
    return Market(
        venue=VENUE,
        market_id=condition,
        question=str(market.get("question") or market.get("slug") or condition),
        outcomes=tuple(
            Outcome(instrument_id(condition, token), name, token)
            for token, name in zip(tokens, names, strict=True)
        ),
        grid=grid_from_tick(market.get("orderPriceMinTickSize") or "0.01"),
        fees=schedule_from_gamma(market, category),
        event_id=str(event.get("id") or ""),
        neg_risk_id=str(market.get("negRiskMarketID") or "") if market.get("negRisk") else "",
        series=_series(event),
        category=category,
        min_size=decimal_of(market.get("orderMinSize") or 0, "orderMinSize"),
        open_ns=seconds_of(market.get("startDate")) * NS_PER_SECOND,
        close_ns=close_s * NS_PER_SECOND,
        status=MarketStatus.CLOSED if market.get("closed") else MarketStatus.ACTIVE,
        info={
            "slug": str(market.get("slug") or ""),
            "version": str(market.get("version") or "v1"),
            "question_id": str(market.get("questionID") or ""),
        },
    )


def resolution_of(market: Mapping[str, Any]) -> Resolution | None:
    """Return the payouts of a closed market; None where they are not clean and final.

    Payouts are 1 and 0, or equal shares of a void market. Anything else (old market-maker prices, 0 and
    0, a proposal that can still be disputed) is not a payout.
    """
    closed_s = seconds_of(market.get("closedTime"))
    if not market.get("closed") or not closed_s:
        return None
    if str(market.get("umaResolutionStatus") or "") not in RESOLVED:
        return None
    try:
        prices = [Decimal(str(p)) for p in listed(market.get("outcomePrices"))]
    except InvalidOperation:
        return None
    if len(prices) < 2 or not all(p.is_finite() for p in prices) or sum(prices) != ONE:
        return None
    winner = sorted(prices) == [Decimal(0)] * (len(prices) - 1) + [ONE]
    void = len(prices) == 2 and prices == [HALF, HALF]
    return Resolution(tuple(prices), closed_s * NS_PER_SECOND) if winner or void else None


def event_from_gamma(event: Mapping[str, Any], held: Sequence[str]) -> Event:
    """Return an event with the markets we hold.

    It is complete only when the venue guarantees one winner among named outcomes: a neg-risk event that
    cannot grow, with an Other outcome, every market of it held.
    """
    listed_markets = [m for m in listed(event.get("markets")) if isinstance(m, dict)]
    every = {str(m.get("conditionId")) for m in listed_markets}
    augmented = bool(event.get("negRiskAugmented"))
    other = any(m.get("negRiskOther") for m in listed_markets)
    neg_risk = bool(event.get("negRisk") or event.get("enableNegRisk"))
    return Event(
        venue=VENUE,
        event_id=str(event.get("id")),
        title=str(event.get("title") or event.get("slug") or event.get("id")),
        market_ids=tuple(sorted(held)),
        neg_risk_id=str(event.get("negRiskMarketID") or "") if neg_risk else "",
        complete=neg_risk and not augmented and other and bool(every) and every == set(held),
        augmented=augmented,
        category=category_of_tags(event),
    )


def category_of_tags(event: Mapping[str, Any], market: Mapping[str, Any] | None = None) -> str:
    """Return the fee category that the tags name; empty when none of them is one."""
    slug = str((market or {}).get("slug") or "")
    for minutes in ("5m", "15m"):
        if f"-updown-{minutes}-" in slug:
            return f"crypto-{minutes}"
    for tag in listed(event.get("tags")):
        if not isinstance(tag, dict):
            continue
        for word in (tag.get("slug"), tag.get("label")):
            try:
                if word:
                    return category_of(str(word))
            except FeeError:
                continue
    return ""


def _series(event: Mapping[str, Any]) -> str:
    series = [s for s in listed(event.get("series")) if isinstance(s, dict)]
    return str(series[0].get("slug") or "") if series else str(event.get("seriesSlug") or "")
