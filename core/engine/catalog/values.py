"""Domain markets and events as JSON, exact: decimals travel as text, unknown fields are refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.domain.errors import BetaError, CorruptData
from core.domain.fees import FeeSchedule
from core.domain.grid import Band, TickGrid
from core.domain.market import Event, Market, MarketStatus, Outcome
from core.engine.catalog.arrays import from_text
from core.engine.catalog.meta import again


def market_to_json(market: Market) -> str:
    """Return `market` as one line of JSON."""
    return json.dumps(_plain(market), sort_keys=True, ensure_ascii=False)


def event_to_json(event: Event) -> str:
    """Return `event` as one line of JSON."""
    return json.dumps(_plain(event), sort_keys=True, ensure_ascii=False)


def market_from_json(text: str) -> Market:
    """Return the market in `text`.

    Raises
    ------
    CorruptData
        If a field is missing, unknown or not valid.
    """
    try:
        raw = json.loads(text)
        raw["outcomes"] = tuple(
            Outcome(**{**o, "payout": _decimal(o.get("payout"))}) for o in raw["outcomes"]
        )
        raw["grid"] = TickGrid(
            tuple(Band(*(Decimal(b[k]) for k in _BAND)) for b in raw["grid"]["bands"])
        )
        fees = raw["fees"]
        for name in ("rate", "exponent", "maker_rate", "multiplier"):
            fees[name] = _decimal(fees[name])
        raw["fees"] = FeeSchedule(**fees)
        raw["status"] = MarketStatus(raw["status"])
        for name in ("size_step", "min_size", "strike", "strike_high"):
            raw[name] = _decimal(raw[name])
        return Market(**raw)
    except (ValueError, KeyError, TypeError, ArithmeticError, BetaError) as exc:
        raise CorruptData(
            "a market of the catalog cannot be read",
            str(exc),
            "beta data verify, then ingest again",
        ) from exc


def event_from_json(text: str) -> Event:
    """Return the event in `text`; raises `CorruptData` as `market_from_json` does."""
    try:
        raw = json.loads(text)
        raw["market_ids"] = tuple(raw["market_ids"])
        return Event(**raw)
    except (ValueError, KeyError, TypeError) as exc:
        raise CorruptData(
            "an event of the catalog cannot be read",
            str(exc),
            "beta data verify, then ingest again",
        ) from exc


_BAND = ("start", "end", "step")


def _decimal(value: str | None) -> Any:
    return None if value is None else Decimal(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


def write_values(path: Path, rows: Iterable[tuple[str, str, str]]) -> bytes:
    """Write ``(id, venue, json)`` rows sorted by id; return the JSON lines that were written."""
    ordered = sorted(rows)
    ids, venues, texts = zip(*ordered, strict=True) if ordered else ((), (), ())
    columns = {"id": from_text(ids), "venue": from_text(venues), "json": from_text(texts)}
    table = pa.table(columns)
    pq.write_table(table, path, compression="zstd")
    return "\n".join(texts).encode()


def read_values(path: Path) -> list[str]:
    """Return the JSON lines of a values file.

    Raises
    ------
    CorruptData
        If the file cannot be read.
    """
    try:
        return [str(v) for v in pq.ParquetFile(path).read(columns=["json"])["json"].to_pylist()]
    except (OSError, KeyError, pa.ArrowException) as exc:
        raise CorruptData(
            "file of the catalog cannot be read", f"{path}: {exc}", again(path.parent)
        ) from exc
