"""What a venue must never be able to do to us with a frame: every way to spoil one, drawn from a seed.

A frame is spoiled so that nobody could take it for a right one: a number that is merely another number is not
among them. What is left out is listed in `docs/bad-input.md`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

#: Keys without which a frame or an answer says nothing; others may be absent in right ones.
NEEDED = frozenset(
    {
        "type", "sid", "seq", "msg", "market_ticker", "price_dollars", "delta_fp", "side", "order_id", "trade_id",
        "ticker", "status", "book_side", "yes_price_dollars", "fill_count_fp", "remaining_count_fp", "initial_count_fp",
        "count_fp", "fee_cost", "is_taker", "event_type", "asset_id", "price", "size", "timestamp", "price_changes",
        "bids", "asks", "id", "market", "matched_amount",
    }
)  # fmt: skip
NUMBERS = frozenset(
    {"price_dollars", "delta_fp", "yes_price_dollars", "count_fp", "fee_cost", "price", "matched_amount"}
)  # fmt: skip
#: What no number of a contract can be, and no reader may take for one.
IMPOSSIBLE: tuple[Any, ...] = (
    "NaN", "sNaN", "Infinity", "-Infinity", "1e999999", "-1e999999", "abc", "0x10", "1" * 5_000, "1,5", "٣x", [], {}, True, 1e308,
)  # fmt: skip
WRONG: tuple[Any, ...] = ([], {}, [[]], {"a": 1}, True, [None])
BIG_BYTES = 5 << 20
Frames = list[str | bytes]
Path = tuple[Any, ...]


def paths(node: Any, at: Path = ()) -> list[tuple[Path, Any]]:
    """Return every place of a payload with its value."""
    out: list[tuple[Path, Any]] = []
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        out += [((*at, key), value), *paths(value, (*at, key))]
    return out


def holder(body: Any, path: Path) -> Any:
    """Return the object or list that holds the place."""
    for key in path[:-1]:
        body = body[key]
    return body


def _put(body: Any, rng: random.Random, keys: frozenset[str], values: tuple[Any, ...]) -> Any:
    places = [p for p, _ in paths(body) if p[-1] in keys]
    if not places:
        return [body, body]
    path = rng.choice(places)
    holder(body, path)[path[-1]] = rng.choice(values)
    return body


def _truncated(text: str, rng: random.Random) -> Frames:
    return [text[: rng.randrange(len(text))]]


def _binary(text: str, rng: random.Random) -> Frames:
    return [text.encode() if rng.random() < 0.5 else rng.randbytes(rng.randrange(200))]


def _too_big(text: str, rng: random.Random) -> Frames:
    return [text[:-1] + f',"pad":"{"x" * BIG_BYTES}"}}']


def _deep(text: str, rng: random.Random) -> Frames:
    depth = rng.choice((1_000, 50_000))
    return [text[:-1] + f',"deep":{"[" * depth}{"]" * depth}}}']


def _junk(text: str, rng: random.Random) -> Frames:
    return [
        rng.choice(
            (
                "",
                " ",
                "null",
                "0",
                '"x"',
                "[]",
                "{}",
                "<html>502</html>",
                "[[",
                "\\u0000",
                "true",
                "PING",
            )
        )
    ]


def _impossible(text: str, rng: random.Random) -> Frames:
    return [json.dumps(_put(json.loads(text), rng, NUMBERS, IMPOSSIBLE))]


def _wrong_type(text: str, rng: random.Random) -> Frames:
    return [
        json.dumps(_put(json.loads(text), rng, NEEDED - {"asks", "bids", "price_changes"}, WRONG))
    ]


def _dropped(text: str, rng: random.Random) -> Frames:
    body = json.loads(text)
    places = [p for p, _ in paths(body) if p[-1] in NEEDED]
    if not places:
        return []
    path = rng.choice(places)
    value = holder(body, path).pop(path[-1])
    if rng.random() < 0.5:
        holder(body, path)[f"{path[-1]}_v3"] = value
    return [json.dumps(body)]


def _unknown(text: str, rng: random.Random) -> Frames:
    return [
        json.dumps(
            _put(json.loads(text), rng, frozenset({"type", "event_type", "side"}), ("nonsense", ""))
        )
    ]


def _number(text: str, rng: random.Random) -> Frames:
    places = frozenset({"seq", "sid", "timestamp"})
    return [
        json.dumps(
            _put(
                json.loads(text), rng, places, (-1, 10**30, 2**63, 1e17, "99999999999999999", None)
            )
        )
    ]


def _stranger(text: str, rng: random.Random) -> Frames:
    places = frozenset({"market_ticker", "asset_id", "order_id"})
    return [
        json.dumps(
            _put(json.loads(text), rng, places, ("", "nobody", "x" * 100_000, "\u0000", "99"))
        )
    ]


def _twice(text: str, rng: random.Random) -> Frames:
    return [text] * rng.choice((2, 3, 50))


Spoiler = Callable[[str, random.Random], Frames]
WAYS: dict[str, Spoiler] = {
    "truncated": _truncated, "binary": _binary, "too big": _too_big, "deep": _deep, "junk": _junk,
    "impossible number": _impossible, "wrong type": _wrong_type, "key gone": _dropped, "unknown word": _unknown,
    "impossible sequence": _number, "stranger": _stranger, "repeated": _twice,
}  # fmt: skip


def spoiled(text: str, way: str, rng: random.Random) -> Frames:
    """Return what is sent instead of a frame."""
    try:
        return WAYS[way](text, rng)
    except (ValueError, TypeError, KeyError):  # no JSON object: an acknowledgement or an array
        return [text[: len(text) // 2]]
