"""The paper venue's truth on disk: after a restart it is asked like any venue, and answers the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec

from core.domain.errors import LedgerLocked, LedgerWriteError
from core.engine.paper.account import NettedAccount, TokenAccount
from core.engine.paper.exchange import Exchange, Execution, FakeOrder

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders(order_id TEXT PRIMARY KEY, body BLOB NOT NULL, ahead INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS executions(trade_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS state(name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_client ON orders(json_extract(CAST(body AS TEXT), '$.client_order_id'));
CREATE INDEX IF NOT EXISTS executions_by_order ON executions(json_extract(CAST(body AS TEXT), '$.order_id'));
CREATE TABLE IF NOT EXISTS settled(market TEXT PRIMARY KEY, yes_payout INTEGER NOT NULL, paid INTEGER NOT NULL, ts_ns INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS merged(number INTEGER PRIMARY KEY, market TEXT NOT NULL, quantity INTEGER NOT NULL, ts_ns INTEGER NOT NULL) STRICT;
"""
_BY_CLIENT = (
    "SELECT body FROM orders WHERE json_extract(CAST(body AS TEXT), '$.client_order_id') = ?"
)
_BY_ORDER = (
    "SELECT seq, body FROM executions "
    "WHERE json_extract(CAST(body AS TEXT), '$.order_id') = ? ORDER BY seq"
)


class PaperStore:
    """Writes every change of an `Exchange` and restores it.

    Parameters
    ----------
    path : Path
        SQLite file of one paper account.

    Raises
    ------
    LedgerLocked
        If another process holds the file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._ahead: dict[str, int] = {}
        self.db = apsw.Connection(str(path))
        self.db.set_busy_timeout(0)
        try:
            self.db.pragma("locking_mode", "EXCLUSIVE")
            self.db.pragma("journal_mode", "WAL")
            self.db.pragma("synchronous", 1)
            self.db.pragma("cache_size", -512)  # KiB; the default keeps 2 MB of what was written
            self.db.execute(SCHEMA)
        except apsw.BusyError as exc:
            raise LedgerLocked(
                "another process runs this paper account", path, "stop it, or use --home"
            ) from exc

    # -- restore ----------------------------------------------------------------------------
    def restore(self, exchange: Exchange) -> bool:
        """Load cash, positions, orders and executions; return whether there was anything."""
        account = self._state("account")
        if account is None:
            self._save_account(exchange)
            return False
        _load_account(exchange, account)
        exchange.counter = int(self._state("counter") or 0)
        exchange.executions += [e for _, e in self.executions()]
        for body, ahead in self.db.execute("SELECT body, ahead FROM orders"):
            order = msgspec.json.decode(body, type=FakeOrder)
            exchange.orders[order.order_id] = order
            exchange.by_client_id[order.client_order_id] = order.order_id
            if order.status == "resting":
                self._ahead[order.order_id] = ahead
        return True

    def restore_resting(self, exchange: Exchange, market: str) -> None:
        """Put the working orders of a market back into its book, where they were in the queue."""
        book = exchange.markets[market].book
        for order_id, ahead in self._ahead.items():
            order = exchange.orders.get(order_id)
            if order is None or order.market != market or order.status != "resting":
                continue
            if order_id not in book.resting:
                book.rest(order_id, order.side, order.price, order.left)
                book.resting[order_id].ahead = ahead

    # -- what is no longer in memory --------------------------------------------------------
    def order_of(self, client_order_id: str) -> FakeOrder | None:
        """Return the order that was sent under an id."""
        row = self.db.execute(_BY_CLIENT, (client_order_id,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=FakeOrder)

    def orders(self) -> Iterator[FakeOrder]:
        """Return every order that the account has had."""
        for (body,) in self.db.execute("SELECT body FROM orders"):
            yield msgspec.json.decode(body, type=FakeOrder)

    def executions(self, order_id: str = "") -> Iterator[tuple[int, Execution]]:
        """Return every execution, or those of one order, with its number, oldest first."""
        query = _BY_ORDER if order_id else "SELECT seq, body FROM executions ORDER BY seq"
        for seq, body in self.db.execute(query, (order_id,) if order_id else ()):
            yield int(seq), msgspec.json.decode(body, type=Execution)

    def settled(self) -> dict[str, int]:
        """Return the payouts (YES, ten-thousandths) of markets that were resolved."""
        return {
            str(m): int(p) for m, p in self.db.execute("SELECT market, yes_payout FROM settled")
        }

    def merged(self) -> list[tuple[int, str, int]]:
        """Return merges of pairs (number, market, hundredths of a pair), oldest first."""
        found = self.db.execute("SELECT number, market, quantity FROM merged ORDER BY number")
        return [(int(n), str(m), int(q)) for n, m, q in found]

    def _state(self, name: str) -> Any:
        row = self.db.execute("SELECT body FROM state WHERE name = ?", (name,)).fetchone()
        return msgspec.json.decode(row[0]) if row else None

    # -- save -------------------------------------------------------------------------------
    def save(self, exchange: Exchange, changed: set[str], written: int, first: int) -> int:
        """Write changed orders, new executions and the account in one transaction; return executions written.

        Parameters
        ----------
        written, first : int
            Executions written so far, and those of them that the exchange has no longer.

        Raises
        ------
        LedgerWriteError
            If the disk refuses: the paper venue must then stop, or it would forget.
        """
        with self._with_account(exchange):
            for order_id in changed:
                order = exchange.orders[order_id]
                resting = exchange.markets[order.market].book.resting.get(order_id)
                self.db.execute(
                    "INSERT OR REPLACE INTO orders VALUES (?, ?, ?)",
                    (order_id, msgspec.json.encode(order), resting.ahead if resting else 0),
                )
            for seq in range(written, first + len(exchange.executions)):
                execution = exchange.executions[seq - first]
                self.db.execute(
                    "INSERT INTO executions VALUES (?, ?, ?)",
                    (execution.trade_id, seq, msgspec.json.encode(execution)),
                )
        return first + len(exchange.executions)

    def save_settlement(
        self, exchange: Exchange, market: str, yes_payout: int, paid: int, ts_ns: int
    ) -> None:
        """Write a resolution and the account that it has paid, both or neither.

        Raises
        ------
        LedgerWriteError
            If the disk refuses.
        """
        with self._with_account(exchange):
            self.db.execute(
                "INSERT OR IGNORE INTO settled VALUES (?, ?, ?, ?)",
                (market, yes_payout, paid, ts_ns),
            )

    def save_merge(self, exchange: Exchange, market: str, quantity: int, ts_ns: int) -> int:
        """Write a merge of pairs and the account that it has paid, both or neither; return its number.

        Raises
        ------
        LedgerWriteError
            If the disk refuses.
        """
        with self._with_account(exchange):
            self.db.execute(
                "INSERT INTO merged(market, quantity, ts_ns) VALUES (?, ?, ?)",
                (market, quantity, ts_ns),
            )
            return self.db.last_insert_rowid()

    @contextmanager
    def _with_account(self, exchange: Exchange) -> Iterator[None]:
        """Write what is inside and then the account, in one transaction."""
        try:
            with self.db:
                yield
                self._save_account(exchange)
        except apsw.Error as exc:
            raise self._refused(exc) from exc

    def _refused(self, exc: apsw.Error) -> LedgerWriteError:
        return LedgerWriteError(
            "the paper account cannot be written", f"{self.path}: {exc}", "free disk space"
        )

    def _save_account(self, exchange: Exchange) -> None:
        self._put("account", _dump_account(exchange))
        self._put("counter", exchange.counter)

    def _put(self, name: str, body: Any) -> None:
        self.db.execute(
            "INSERT OR REPLACE INTO state VALUES (?, ?)", (name, msgspec.json.encode(body))
        )

    def close(self) -> None:
        """Close the file."""
        self.db.close()


def _dump_account(exchange: Exchange) -> dict[str, Any]:
    account = exchange.account
    if isinstance(account, NettedAccount):
        return {"kind": "netted", "cash": account.cash, "signed": account.signed}
    assert isinstance(account, TokenAccount)
    return {
        "kind": "tokens",
        "cash": account.cash,
        "held": [[m, o, q] for (m, o), q in account.held.items()],
    }


def _load_account(exchange: Exchange, body: dict[str, Any]) -> None:
    account = exchange.account
    account.cash = int(body["cash"])
    if isinstance(account, NettedAccount):
        account.signed.update(body["signed"])
    elif isinstance(account, TokenAccount):
        account.held.update({(m, o): q for m, o, q in body["held"]})
