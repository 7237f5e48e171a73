"""What folding needs between rows: the projections database, which book a run belongs to, hours."""

from __future__ import annotations

from decimal import Decimal

import apsw

from core.domain.clock import NS_PER_SECOND
from core.domain.money import ZERO
from core.ledger.kinds import RunMode
from core.ledger.lots import EXACT

HOUR_NS = 3_600 * NS_PER_SECOND
#: Currencies that are worth one dollar and are added up as such.
DOLLARS = frozenset({"USD", "USDC", "USDC.e", "USDT", "pUSD", "PUSD"})
#: Orders that can still cost money.
OPEN_STATUSES = ("INTENDED", "SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "UNKNOWN")


def text(value: Decimal) -> str:
    """Return a decimal in its one canonical form (no exponent, no trailing zeros, no minus zero)."""
    if not value:
        return "0"
    out = format(value, "f")
    return out.rstrip("0").rstrip(".") if "." in out else out


def book_of_mode(mode: RunMode, run_id: str) -> str:
    """Return the book of a run: ``live`` and ``paper`` go on over restarts, a backtest is its own."""
    return str(mode) if mode in (RunMode.LIVE, RunMode.PAPER) else run_id


class State:
    """Handle on the projections database during one fold."""

    def __init__(self, db: apsw.Connection) -> None:
        self.db = db
        self.books: dict[str, str] = dict(db.execute("SELECT run_id, book FROM runs"))
        self.versions: dict[tuple[str, str], str] = {
            (run, strategy): sha
            for run, strategy, sha in db.execute(
                "SELECT run_id, strategy_id, sha256 FROM strategies"
            )
        }
        self.positions: dict[tuple[str, str, str, str], object] = {}
        self._hours: dict[str, tuple[int, int]] = {}

    def run(self, sql: str, *values: object) -> None:
        """Execute a write."""
        self.db.execute(sql, values)  # type: ignore[arg-type]

    def one(self, sql: str, *values: object) -> tuple[object, ...] | None:
        """Return the first row of a read, or None."""
        for row in self.db.execute(sql, values):  # type: ignore[arg-type]
            return tuple(row)
        return None

    def all(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Return all rows of a read."""
        return [tuple(row) for row in self.db.execute(sql, values)]  # type: ignore[arg-type]

    def anomaly(self, seq: int, code: str, detail: str) -> None:
        """Note something that should not be in a ledger of a correct node."""
        self.run("INSERT OR IGNORE INTO anomalies VALUES (?, ?, ?)", seq, code, detail)

    def add_totals(
        self,
        book: str,
        *,
        cost: Decimal = ZERO,
        pnl: Decimal = ZERO,
        fees: Decimal = ZERO,
        other: Decimal = ZERO,
        positions: int = 0,
    ) -> None:
        """Add to the running totals of a book."""
        old = self.one(
            "SELECT cost, realized_pnl, fees, other_costs, open_positions FROM totals WHERE book = ?",
            book,
        )
        sums = [Decimal(str(v)) for v in old[:4]] if old else [ZERO] * 4
        new = [EXACT.add(a, b) for a, b in zip(sums, (cost, pnl, fees, other), strict=True)]
        count = int(str(old[4])) + positions if old else positions
        self.run(
            "INSERT OR REPLACE INTO totals VALUES (?, ?, ?, ?, ?, ?)", book, *map(text, new), count
        )

    def touch(self, book: str, seq: int, ts_ns: int) -> None:
        """Note that a book changed in the hour of `ts_ns`; the hour before is then complete."""
        if not book:
            return
        hour = ts_ns - ts_ns % HOUR_NS
        waiting = self._hours.get(book)
        if waiting is not None and waiting[0] != hour:
            self._write_hour(book, *waiting)
        self._hours[book] = (hour, seq)

    def before(self, book: str, ts_ns: int) -> None:
        """Write a finished hour before a row of a later hour changes the book."""
        waiting = self._hours.get(book)
        if waiting is not None and waiting[0] != ts_ns - ts_ns % HOUR_NS:
            self._write_hour(book, *waiting)
            del self._hours[book]

    def finish(self) -> None:
        """Write the hours in progress."""
        for book in sorted(self._hours):
            self._write_hour(book, *self._hours[book])
        self._hours.clear()

    def _write_hour(self, book: str, hour_ns: int, seq: int) -> None:
        """Write the state of a book as the state at the end of an hour."""
        totals = self.one(
            "SELECT cost, realized_pnl, fees, other_costs, open_positions FROM totals WHERE book = ?",
            book,
        ) or ("0", "0", "0", "0", 0)
        marks = ", ".join("?" * len(OPEN_STATUSES))
        count = self.one(
            f"SELECT count(*) FROM orders WHERE book = ? AND status IN ({marks})",
            book,
            *OPEN_STATUSES,
        )
        cash, equity, complete = ZERO, ZERO, True
        for currency, total, worth in self.all(
            "SELECT currency, total, equity FROM accounts WHERE book = ?", book
        ):
            if currency in DOLLARS:
                cash = EXACT.add(cash, Decimal(str(total)))
                complete = complete and worth is not None
                equity = EXACT.add(equity, Decimal(str(worth if worth is not None else total)))
        self.run(
            "INSERT OR REPLACE INTO portfolio_hourly VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            book,
            hour_ns,
            text(cash),
            text(equity) if complete else None,
            *totals[:4],
            totals[4],
            count[0] if count else 0,
            seq,
        )
