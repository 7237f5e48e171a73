"""Fee terms of Kalshi series: from the venue's payloads, and the few that were read from fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from adapters.kalshi.rules import FEE_TYPES
from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.errors import FeeError, UsageError
from core.domain.fees import FeeSchedule
from core.domain.money import ONE, ZERO, decimal_of

HALF = Decimal("0.5")

#: Series -> (fee type, multiplier), as `GET /series/{ticker}` answered in August 2026. Used when a
#: question names a series and no payload is at hand; a payload always wins.
KNOWN_SERIES: dict[str, tuple[str, Decimal]] = {
    "KXMLBGAME": ("quadratic_with_maker_fees", HALF),
    "KXMLBSPREAD": ("quadratic", HALF),
    "KXATPDOUBLES": ("quadratic", ONE),
    "KXWNBAGAME": ("quadratic_with_maker_fees", ONE),
}


def schedule_of_series(ticker: str) -> FeeSchedule:
    """Return the fee terms of a series that we know without asking the venue.

    Raises
    ------
    FeeError
        If the series is not known.
    """
    key = ticker.strip().upper()
    if key not in KNOWN_SERIES:
        raise FeeError(
            "the fee terms of this Kalshi series are not known here",
            ticker,
            "read fee_type and fee_multiplier from GET /series/{ticker}, then pass --fee-type and "
            f"--multiplier (known: {', '.join(KNOWN_SERIES)})",
        )
    kind, multiplier = KNOWN_SERIES[key]
    return FeeSchedule("KALSHI", kind=kind, multiplier=multiplier)


def schedule_from_payload(
    series: Mapping[str, Any],
    event: Mapping[str, Any] | None = None,
    market: Mapping[str, Any] | None = None,
) -> FeeSchedule:
    """Return a market's fee terms from the payloads of its series, event and market.

    The event's ``fee_type_override`` and ``fee_multiplier_override`` win over the series; the
    market's ``fee_waiver_expiration_time`` makes every fill before it free.

    Raises
    ------
    FeeError
        If the fee type is missing or not one the venue documents, or the multiplier is no number.
    """
    event, market = event or {}, market or {}
    kind = event.get("fee_type_override") or series.get("fee_type")
    override = event.get("fee_multiplier_override")
    multiplier = series.get("fee_multiplier") if override is None else override
    if kind not in FEE_TYPES:
        raise FeeError("the series has no fee type we know", kind, "update the fee rules")
    if multiplier is None:
        raise FeeError(
            "the series has no fee multiplier",
            series.get("ticker"),
            "--multiplier 1, or fetch the series again",
        )
    value = decimal_of(multiplier, "fee_multiplier")
    if value < ZERO:
        raise FeeError(
            "the series has a negative fee multiplier",
            value,
            "--multiplier 1, or fetch the series again",
        )
    waiver = str(market.get("fee_waiver_expiration_time") or "")
    waived_ns = ns_from_iso(waiver) if waiver and not waiver.startswith("0001") else 0
    return FeeSchedule("KALSHI", kind=str(kind), multiplier=value, waiver_until_ns=waived_ns)


def series_terms_at(
    series: Mapping[str, Any], changes: Sequence[Mapping[str, Any]], ts_ns: int
) -> Mapping[str, Any]:
    """Return a series payload with the fee terms in force at `ts_ns`.

    Parameters
    ----------
    changes : sequence of mapping
        Rows of ``GET /series/fee_changes``; the last one scheduled at or before `ts_ns` wins. Terms from
        before the first known change are not published: the payload's own are kept then.
    """
    best: tuple[int, Mapping[str, Any]] | None = None
    for change in changes:
        if change.get("series_ticker") not in (None, series.get("ticker")):
            continue
        when = _change_ns(change.get("scheduled_ts"))
        if when is not None and when <= ts_ns and (best is None or when >= best[0]):
            best = (when, change)
    if best is None:
        return series
    terms = {k: best[1][k] for k in ("fee_type", "fee_multiplier") if best[1].get(k) is not None}
    return {**series, **terms}


def _change_ns(value: Any) -> int | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value) * NS_PER_SECOND
    try:
        return ns_from_iso(str(value))
    except UsageError:
        return None
