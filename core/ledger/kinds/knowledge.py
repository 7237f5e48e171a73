"""Rows about what was known: data, news, model answers, clocks, randomness."""

from __future__ import annotations

from decimal import Decimal

from core.ledger.registry import Payload, kind


@kind("data.manifest")
class DataManifest(Payload, frozen=True, kw_only=True):
    """A data set of a run, by content."""

    snapshot_id: str
    source: str
    sha256: str
    rows: int
    start_ns: int
    end_ns: int
    instruments: tuple[str, ...] = ()
    synthetic: bool = False


@kind("data.snapshot")
class DataSnapshot(Payload, frozen=True, kw_only=True):
    """The market state that a decision saw: best prices, and the digest of the whole book."""

    instrument_id: str
    bid: Decimal | None = None
    bid_size: Decimal | None = None
    ask: Decimal | None = None
    ask_size: Decimal | None = None
    last: Decimal | None = None
    sequence: int = 0
    ts_data_ns: int = 0
    book_sha256: str = ""
    dataset: str = ""


@kind("intel.item")
class IntelItem(Payload, frozen=True, kw_only=True):
    """A piece of news or research as first seen."""

    item_id: str
    source: str
    url: str
    published_ns: int
    seen_ns: int
    sha256: str
    title: str = ""
    text: str = ""


@kind("llm.call")
class LlmCall(Payload, frozen=True, kw_only=True):
    """A model call with its answer, so that a replay needs no model."""

    request_sha256: str
    purpose: str
    tier: str
    model: str
    request: str
    answer: str
    status: str
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    latency_ms: int
    cached: bool = False


@kind("clock.read")
class ClockRead(Payload, frozen=True, kw_only=True):
    """A clock read outside the engine's time that a decision depended on."""

    purpose: str
    value_ns: int


@kind("random.draw")
class RandomDraw(Payload, frozen=True, kw_only=True):
    """A random draw that a decision depended on: the stream's seed, its position and the value."""

    stream: str
    seed: int
    index: int
    value: str
