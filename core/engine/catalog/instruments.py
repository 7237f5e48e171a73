"""Instruments of a catalog: outcomes of markets as binary options, spot references as currency pairs.

Every probability instrument has the same shape (ADR 0030): 4 price decimals, at least 2 size decimals,
expiry far in the future. The tick grid that a venue accepts is the market's and the gate holds it; the
trading end is `Market.close_ns`; the position ends with the settlement in the data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from core.domain.errors import CorruptData
from core.domain.market import Market, Outcome
from core.engine.catalog.columns import PRICE_PRECISION, SIZE_PRECISION
from core.engine.catalog.tables import TIMESTAMP

#: 2100-01-01. The engine refuses orders after an instrument's expiry and never settles by itself.
FAR_FUTURE_NS = 4_102_444_800_000_000_000
#: Currency code of every probability instrument; the engine registers it with 6 decimals.
CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class Pair:
    """A spot instrument: something with a price that is not a probability.

    Attributes
    ----------
    instrument_id : str
        ``BTCUSDT.BINANCE``.
    base, quote : str
        Currency codes.
    price_precision, size_precision : int
        Decimals of price and size.
    """

    instrument_id: str
    base: str
    quote: str
    price_precision: int = 2
    size_precision: int = 8


@dataclass(frozen=True, slots=True)
class Precision:
    """Decimals that all data of one instrument must have."""

    price: int
    size: int


def precision_of(market: Market) -> Precision:
    """Return the decimals of a market's instruments (sizes finer than 0.01 only where the market says so)."""
    exponent = market.size_step.normalize().as_tuple().exponent
    if not isinstance(exponent, int):
        raise CorruptData(f"size step of {market.market_id} is not a number", market.size_step)
    return Precision(PRICE_PRECISION, max(SIZE_PRECISION, -exponent))


_COMMON = [
    ("max_quantity", pa.string(), True),
    ("min_quantity", pa.string(), True),
    ("max_notional", pa.string(), True),
    ("min_notional", pa.string(), True),
    ("max_price", pa.string(), True),
    ("min_price", pa.string(), True),
    ("margin_init", pa.string(), False),
    ("margin_maint", pa.string(), False),
    ("tick_scheme", pa.string(), True),
    ("info", pa.json_(), True),
    ("ts_event", TIMESTAMP, False),
    ("ts_init", TIMESTAMP, False),
]
_OPTION = [
    ("id", pa.string(), False),
    ("raw_symbol", pa.string(), False),
    ("asset_class", pa.string(), False),
    ("currency", pa.string(), False),
    ("price_precision", pa.uint8(), False),
    ("size_precision", pa.uint8(), False),
    ("price_increment", pa.string(), False),
    ("size_increment", pa.string(), False),
    ("activation_ns", TIMESTAMP, False),
    ("expiration_ns", TIMESTAMP, False),
    ("outcome", pa.string(), True),
    ("description", pa.string(), True),
    *_COMMON,
    ("event_id", pa.string(), True),
]
_PAIR = [
    ("id", pa.string(), False),
    ("raw_symbol", pa.string(), False),
    ("base_currency", pa.string(), False),
    ("quote_currency", pa.string(), False),
    ("price_precision", pa.uint8(), False),
    ("size_precision", pa.uint8(), False),
    ("price_increment", pa.string(), False),
    ("size_increment", pa.string(), False),
    ("multiplier", pa.string(), False),
    ("lot_size", pa.string(), True),
    *_COMMON,
]


def option_table(market: Market, outcome: Outcome) -> pa.Table:
    """Return one outcome as a table of the engine's ``BinaryOption`` schema."""
    precision = precision_of(market)
    info = {
        "market_id": market.market_id,
        "token_id": outcome.token_id,
        "neg_risk_id": market.neg_risk_id,
        "synthetic": market.synthetic,
    }
    row = {
        "id": outcome.instrument_id,
        "raw_symbol": outcome.instrument_id.rsplit(".", 1)[0],
        "asset_class": "ALTERNATIVE",
        "currency": CURRENCY,
        **_increments(precision.price, precision.size),
        "activation_ns": market.open_ns,
        "expiration_ns": FAR_FUTURE_NS,
        "outcome": outcome.name,
        "description": market.question,
        "margin_init": "0",
        "margin_maint": "0",
        "info": json.dumps(info, sort_keys=True, separators=(",", ":")),
        "event_id": market.event_id or None,
    }
    return _one_row("BinaryOption", outcome.instrument_id, _OPTION, row)


def pair_table(pair: Pair) -> pa.Table:
    """Return one spot instrument as a table of the engine's ``CurrencyPair`` schema."""
    row = {
        "id": pair.instrument_id,
        "raw_symbol": pair.instrument_id.rsplit(".", 1)[0],
        "base_currency": pair.base,
        "quote_currency": pair.quote,
        **_increments(pair.price_precision, pair.size_precision),
        "multiplier": "1",
        "margin_init": "0",
        "margin_maint": "0",
    }
    return _one_row("CurrencyPair", pair.instrument_id, _PAIR, row)


def _increments(price: int, size: int) -> dict[str, object]:
    return {
        "price_precision": price,
        "size_precision": size,
        "price_increment": format(Decimal(1).scaleb(-price), "f"),
        "size_increment": format(Decimal(1).scaleb(-size), "f"),
    }


def _one_row(
    type_name: str,
    instrument_id: str,
    parts: list[tuple[str, pa.DataType, bool]],
    row: dict[str, object],
) -> pa.Table:
    schema = pa.schema(
        [pa.field(name, kind, nullable=null) for name, kind, null in parts],
        metadata={"instrument_id": instrument_id, "type_name": type_name},
    )
    arrays = []
    for name, kind, _ in parts:
        value = row.get(name)
        if kind == TIMESTAMP:
            arrays.append(pa.array(np.array([value or 0], dtype=np.int64)).cast(TIMESTAMP))
        elif name == "info":
            storage = pa.array([value], pa.string())
            arrays.append(pa.ExtensionArray.from_storage(kind, storage))
        else:
            arrays.append(pa.array([value], kind))
    return pa.Table.from_arrays(arrays, schema=schema)
