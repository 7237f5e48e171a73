"""A recording on disk: parts as they were flushed, and the catalog they become.

A node writes ``recordings/<run_id>.parts/``: what it follows (``about.json``, ``markets.jsonl``) and one Parquet
file a flush. A killed node leaves whole parts only. `seal` turns them into the catalog ``recordings/<run_id>``
through the same writer and checks as every other catalog, in bounded memory, and then removes them.
"""

from __future__ import annotations

import json
import os
import shutil
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.domain.errors import CorruptData, MissingData
from core.domain.market import Market
from core.engine.catalog import Catalog, CatalogWriter, DeltaColumns, TradeColumns
from core.engine.catalog.arrays import from_numpy, from_text
from core.engine.catalog.instruments import precision_of
from core.engine.catalog.values import market_from_json, market_to_json
from core.engine.live.events import events_of

DELTA, TRADE, STATUS, CLOSE = 0, 1, 2, 3
NUMBERS = ("code", "kind", "ts_event", "ts_init", "action", "side", "price", "size", "flags", "seq")
#: Rows in memory while a recording is sealed: with 50,000 it takes 190 MB beside the node, with 500,000 it took 790.
SEAL_ROWS = 50_000


@dataclass(frozen=True, kw_only=True)
class About:
    """What a recording is of.

    Attributes
    ----------
    cash : str
        Dollars of the account when the strategies began.
    positions : dict
        Shares held then, by instrument id.
    synthetic : bool
        True when the venue was one of ours on this machine.
    """

    run_id: str
    mode: str
    venue: str
    instruments: tuple[str, ...]
    cash: str
    positions: dict[str, str]
    latency_s: float
    synthetic: bool
    started_ns: int


def recording_path(home: Path, run_id: str) -> Path:
    """Return the folder of the catalog of one run."""
    return home / "recordings" / run_id


def parts_path(home: Path, run_id: str) -> Path:
    """Return the folder of the parts of one run."""
    return home / "recordings" / f"{run_id}.parts"


def begin(folder: Path, about: About, markets: list[Market]) -> None:
    """Make the folder of a recording and say what it is of."""
    folder.mkdir(parents=True)
    (folder / "about.json").write_text(json.dumps(asdict(about), indent=1))
    add_markets(folder, markets)


def add_markets(folder: Path, markets: list[Market]) -> None:
    """Add markets; a later line of the same market replaces an earlier one.

    Raises
    ------
    OSError
        If the disk refuses; the file is then as it was: half a line would make the recording unreadable.
    """
    path = folder / "markets.jsonl"
    before = path.stat().st_size if path.exists() else 0
    try:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(market_to_json(m) + "\n" for m in markets)
    except OSError:
        with suppress(OSError):
            os.truncate(path, before)
        raise


def write_part(folder: Path, number: int, numbers: array[int], texts: list[str | None]) -> None:
    """Write one part; it is there as a whole, on disk, or not at all. `numbers` are rows of `NUMBERS` in a row."""
    rows = np.frombuffer(numbers, dtype=np.int64).reshape(-1, len(NUMBERS))
    arrays = [from_numpy(column, pa.int64()) for column in np.ascontiguousarray(rows.T)]
    table = pa.Table.from_arrays([*arrays, from_text(texts)], names=[*NUMBERS, "text"])
    path = folder / f"{number:08d}.parquet"
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        pq.write_table(table, file, compression="zstd", compression_level=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def about_of(home: Path, run_id: str) -> About:
    """Return what the recording of a run is of.

    Raises
    ------
    MissingData
        If the run was not recorded.
    """
    for folder in (parts_path(home, run_id), recording_path(home, run_id)):
        path = folder / "about.json"
        if path.is_file():
            raw = json.loads(path.read_text())
            raw["instruments"] = tuple(raw["instruments"])
            return About(**raw)
    raise MissingData("this run was not recorded", run_id, "run the node with recording on")


def open_recording(home: Path, run_id: str) -> Catalog:
    """Return the catalog of a run's market data; parts that a killed node left are sealed first.

    Raises
    ------
    MissingData
        If the run was not recorded, or no market data arrived.
    """
    target, folder = recording_path(home, run_id), parts_path(home, run_id)
    if folder.is_dir():
        seal(folder, target)
    if not target.is_dir():
        raise MissingData("this run was not recorded", run_id, "run the node with recording on")
    return Catalog.open(target)


def seal(folder: Path, target: Path) -> None:
    """Turn the parts in `folder` into the catalog `target`.

    Raises
    ------
    MissingData
        If no market data was recorded.
    """
    about = json.loads((folder / "about.json").read_text())
    lines = (folder / "markets.jsonl").read_text().splitlines()
    markets = {m.market_id: m for m in map(market_from_json, lines)}
    sealing = _Sealing(about["instruments"], markets)
    with CatalogWriter(
        target,
        name=about["run_id"],
        synthetic=about["synthetic"],
        source=f"recorded from {about['venue']} by run {about['run_id']}",
        mode="replace",
    ) as writer:
        writer.markets(markets.values())
        writer.events(events_of(markets.values()))
        for window in _windows(folder):
            sealing.write(writer, window)
        sealing.write(writer, None)
        lost = folder / "lost.json"
        if lost.is_file():
            writer.note(f"{json.loads(lost.read_text())['rows']} row(s) could not be written")
    shutil.copy2(folder / "about.json", target / "about.json")
    shutil.rmtree(folder, ignore_errors=True)


def _windows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of all parts in order, some hundred thousand at a time."""
    held: list[pa.Table] = []
    for path in sorted(folder.glob("*.parquet")):
        try:
            held.append(pq.ParquetFile(path).read())
        except (OSError, pa.ArrowException) as exc:
            raise CorruptData(
                "a part of a recording cannot be read",
                f"{path}: {exc}",
                "move this part aside: the others are whole",
            ) from exc
        if sum(t.num_rows for t in held) >= SEAL_ROWS:
            yield _numpy(pa.concat_tables(held))
            held = []
    if held:
        yield _numpy(pa.concat_tables(held))


def _numpy(table: pa.Table) -> dict[str, Any]:
    out: dict[str, Any] = {n: table[n].to_numpy() for n in NUMBERS}
    out["text"] = np.array(table["text"].to_pylist(), dtype=object)
    return out


class _Sealing:
    """Cuts the stream of rows into what a catalog takes: by instrument and kind, moments never split."""

    def __init__(self, instruments: list[str], markets: dict[str, Market]) -> None:
        self.instruments = instruments
        by_iid = {o.instrument_id: m for m in markets.values() for o in m.outcomes}
        self.precision = {i: precision_of(by_iid[i]) for i in instruments}
        self._rest: dict[tuple[int, int], dict[str, Any]] = {}
        self._closed: set[int] = set()
        self._last: dict[tuple[int, int], int] = {}

    def write(self, writer: CatalogWriter, window: dict[str, Any] | None) -> None:
        """Write what is complete; the last moment of each stream waits for the next window (None = the end)."""
        streams = dict(self._rest)
        if window is not None:
            keys = window["code"] * 4 + window["kind"]
            for key in np.unique(keys).tolist():
                mask = keys == key
                stream = {n: v[mask] for n, v in window.items()}
                before = streams.get((key // 4, key % 4))
                if before is not None:
                    stream = {n: np.concatenate([before[n], v]) for n, v in stream.items()}
                streams[(key // 4, key % 4)] = stream
        self._rest = {}
        for (code, kind), rows in sorted(streams.items()):
            # A clock that is set back must not reorder what the node saw.
            floor = self._last.get((code, kind), 0)
            ts = np.maximum(np.maximum.accumulate(rows["ts_init"]), floor)
            rows = {**rows, "ts_init": ts, "ts_event": np.minimum(rows["ts_event"], ts)}
            stop = len(ts)
            if window is not None:
                stop = int(np.searchsorted(ts, ts[-1], side="left"))
                self._rest[(code, kind)] = {n: v[stop:] for n, v in rows.items()}
            if stop:
                self._last[(code, kind)] = int(ts[stop - 1]) + 1
                self._put(writer, code, kind, {n: v[:stop] for n, v in rows.items()})

    def _put(self, writer: CatalogWriter, code: int, kind: int, rows: dict[str, Any]) -> None:
        iid = self.instruments[code]
        precision = self.precision[iid]
        times = {
            "ts_event": rows["ts_event"],
            "ts_init": rows["ts_init"],
            "price_precision": precision.price,
            "size_precision": precision.size,
        }
        if kind == DELTA:
            writer.deltas(
                iid,
                DeltaColumns(
                    **times,
                    action=rows["action"].astype(np.uint8),
                    side=rows["side"].astype(np.uint8),
                    price=rows["price"],
                    size=rows["size"],
                    flags=rows["flags"].astype(np.uint8),
                    sequence=rows["seq"].astype(np.uint64),
                ),
            )
        elif kind == TRADE:
            writer.trades(
                iid,
                TradeColumns(
                    **times,
                    price=rows["price"],
                    size=rows["size"],
                    aggressor=rows["side"].astype(np.uint8),
                    trade_id=rows["text"].tolist(),
                ),
            )
        elif kind == STATUS:
            texts = rows["text"].tolist()
            stamps = rows["ts_init"].tolist()
            writer.statuses(iid, [(t, w, "") for t, w in zip(stamps, texts, strict=True)])
        elif code not in self._closed:
            self._closed.add(code)
            payout = Decimal(int(rows["price"][0])).scaleb(-precision.price)
            writer.closes(iid, int(rows["ts_init"][0]), payout)


__all__ = ["About", "about_of", "begin", "open_recording", "seal", "write_part"]
