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
from core.domain.fees import FeeSchedule
from core.domain.grid import Band, TickGrid
from core.domain.market import Market, Outcome
from core.engine.catalog.arrays import TIMESTAMP, from_numpy, from_text
from core.engine.catalog.columns import PRICE_PRECISION, SIZE_PRECISION

#: 2100-01-01. The engine refuses orders after an instrument's expiry and never settles by itself.
FAR_FUTURE_NS = 4_102_444_800_000_000_000
#: Currency code of every probability instrument; the engine registers it with 6 decimals.
CURRENCY = "USD"
#: Upper end of a spot pair's grid; no price of a recorded pair comes near it.
_SPOT_TOP = Decimal(10) ** 9


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
        Decimals of price and size; together at most 8, the decimals of money in the engine.
    """

    instrument_id: str
    base: str
    quote: str
    price_precision: int = 2
    size_precision: int = 6

    def market(self, category: str = "crypto") -> Market:
        """Return the pair as a market with one outcome: what strategies, gate and catalog work with."""
        venue = self.instrument_id.rpartition(".")[2]
        step = Decimal(1).scaleb(-self.price_precision)
        return Market(
            venue=venue,
            market_id=self.instrument_id,
            question=f"{self.base}/{self.quote} spot",
            outcomes=(Outcome(self.instrument_id, self.base),),
            grid=TickGrid((Band(Decimal(0), _SPOT_TOP, step),)),
            fees=FeeSchedule(venue, kind="notional"),
            category=category,
            size_step=Decimal(1).scaleb(-self.size_precision),
            underlying=self.base,
            info={"base": self.base, "quote": self.quote},
        )


@dataclass(frozen=True, slots=True)
class Precision:
    """Decimals that all data of one instrument must have."""

    price: int
    size: int


def is_spot(market: Market) -> bool:
    """Return whether a market is a spot pair (one outcome) rather than a question."""
    return len(market.outcomes) == 1


def precision_of(market: Market) -> Precision:
    """Return the decimals of a market's instruments.

    Probabilities have 4 price decimals and 2 size decimals (more only where the market's size step says
    so); a spot pair has those of its grid and size step.

    Raises
    ------
    CorruptData
        If a step is not a finite number, or the grid of a question is finer than 4 decimals.
    """
    price, size = _decimals(market.grid.finest, market), _decimals(market.size_step, market)
    if is_spot(market):
        return Precision(price, size)
    if price > PRICE_PRECISION:
        raise CorruptData(
            f"grid of {market.market_id} is finer than 0.0001",
            market.grid.finest,
            "leave this market out: the catalog keeps four decimals of a probability",
        )
    return Precision(PRICE_PRECISION, max(SIZE_PRECISION, size))


def _decimals(step: Decimal, market: Market) -> int:
    exponent = step.normalize().as_tuple().exponent
    if not isinstance(exponent, int):
        raise CorruptData(
            f"a step of {market.market_id} is not a number",
            step,
            "fetch or ingest the market again with a step above 0",
        )
    return max(0, -exponent)


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


def instrument_table(market: Market, outcome: Outcome) -> pa.Table:
    """Return one outcome as a table of the engine's ``BinaryOption`` or ``CurrencyPair`` schema."""
    return _pair_table(market, outcome) if is_spot(market) else _option_table(market, outcome)


def _option_table(market: Market, outcome: Outcome) -> pa.Table:
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


def _pair_table(market: Market, outcome: Outcome) -> pa.Table:
    precision = precision_of(market)
    try:
        base, quote = market.info["base"], market.info["quote"]
    except KeyError as exc:
        raise CorruptData(
            "a spot market needs info base and quote",
            market.market_id,
            "give its info base and quote, for example BTC and USD",
        ) from exc
    row = {
        "id": outcome.instrument_id,
        "raw_symbol": outcome.instrument_id.rsplit(".", 1)[0],
        "base_currency": base,
        "quote_currency": quote,
        **_increments(precision.price, precision.size),
        "multiplier": "1",
        "margin_init": "0",
        "margin_maint": "0",
    }
    return _one_row("CurrencyPair", outcome.instrument_id, _PAIR, row)


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
        if kind == TIMESTAMP or kind == pa.uint8():
            arrays.append(from_numpy(np.array([value or 0]), kind))
        else:
            text = from_text([None if value is None else str(value)])
            arrays.append(pa.ExtensionArray.from_storage(kind, text) if name == "info" else text)
    return pa.Table.from_arrays(arrays, schema=schema)
