"""What a Polymarket answer means: a clear no, or an outcome that must be found out."""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec

from adapters.answers import LONGEST_PAUSE_S, UNREADABLE, asked_pause
from adapters.mends import LIMIT_MEND
from adapters.polymarket import schemas
from core.domain.errors import VenueError, VenueRefused, VenueUncertain

#: Words of a 400 -> our code, longest first where one contains another.
REFUSALS: tuple[tuple[str, str], ...] = (
    ("order crosses book", "post_only_cross"),
    ("not enough balance", "insufficient_balance"),
    ("insufficient balance", "insufficient_balance"),
    ("fully filled or killed", "fok_unfilled"),
    ("no orders found to match", "fak_unmatched"),
    ("invalid expiration", "invalid_expiration"),
    ("min size", "below_minimum"),
    ("lower than the minimum", "below_minimum"),
    ("minimum tick size", "invalid_price"),
    ("invalid amount", "invalid_amount"),
    ("not yet ready", "market_not_ready"),
    ("order_version_mismatch", "order_version_mismatch"),
    ("invalid order version", "order_version_mismatch"),
    ("deposit wallet flow", "wrong_wallet_type"),
    ("address of the api key", "wrong_signer"),
    ("duplicated", "duplicate_order"),
    ("invalid signature", "invalid_signature"),
)
MENDS = {
    401: "check POLYMARKET_API_KEY, _SECRET, _PASSPHRASE and the clock of this machine",
    403: "trading from this place is not allowed; see docs/polymarket.md",
}


def code_of(text: str) -> str:
    """Return our code for a venue's words; unknown words are ``refused``."""
    low = text.lower()
    return next((code for words, code in REFUSALS if words in low), "refused")


def pause_of(headers: Mapping[str, str], body: bytes) -> float:
    """Return the seconds a 429 asks us to wait: header in seconds or as a date, else the body, else one."""
    asked = asked_pause(headers, time.time())
    if asked is not None:
        return asked
    try:
        seconds = msgspec.json.decode(body, type=schemas.ErrorMsg).retry_after_seconds
    except UNREADABLE:
        seconds = None
    return min(max(seconds if seconds is not None else 1.0, 0.0), LONGEST_PAUSE_S)


def message_of(body: bytes) -> str:
    """Return the words of a refusal, or an empty string for a body that is no JSON error."""
    try:
        found = msgspec.json.decode(body, type=schemas.ErrorMsg)
    except UNREADABLE:
        return ""
    return found.error or found.errorMsg or found.error_msg or ""


def error_of(status: int, body: bytes, what: str, write: bool) -> VenueError:
    """Return the error of an answer of 400 or above.

    ==========  =================================================================================
    400         refused; the venue's words become a code
    401, 403    refused; never repeated
    404         refused with code ``not_found``
    425         the engine restarts: a write may still be taken, so it is uncertain
    429         refused: it was not taken
    503         trading disabled or post-only: refused where the body says so, else uncertain
    5xx         uncertain for a write; a read may be repeated
    ==========  =================================================================================
    """
    words = message_of(body)
    if status == 425 or status >= 500:
        closed = status == 503 and any(
            w in words.lower()
            for w in ("disabled", "cancel-only", "cancel only", "post_only", "post only")
        )
        if closed:
            return VenueRefused(
                "trading_disabled",
                f"Polymarket is not trading: {words}",
                status,
                "wait until Polymarket trades again; nothing was done",
            )
        kind = "write" if write else "read"
        return VenueUncertain(
            f"Polymarket did not answer a {kind}: {what}", f"{status} {words}".strip()
        )
    if status == 404:
        return VenueRefused("not_found", f"Polymarket does not know it: {words or what}", status)
    if status == 403:
        return VenueRefused("forbidden", "Polymarket refuses this address", status, MENDS[403])
    if status == 401:
        return VenueRefused("unauthorized", "Polymarket refuses this key", status, MENDS[401])
    if status == 429:
        return VenueRefused("rate_limited", "Polymarket says too many requests", status, LIMIT_MEND)
    return VenueRefused(code_of(words), f"Polymarket refused: {words or what}", status)
