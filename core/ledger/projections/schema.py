"""Tables of the projections: plain facts folded from the ledger, in a file of their own.

Money and sizes are TEXT (exact decimals). Every table is WITHOUT ROWID, so that the same content gives
the same file.
"""

from __future__ import annotations

#: Raised with every change of a table or of what is folded into it; an older file is rebuilt.
VERSION = 1

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, book TEXT NOT NULL, mode TEXT NOT NULL, outcome TEXT NOT NULL,
    config_sha256 TEXT NOT NULL, code_sha TEXT NOT NULL, seed TEXT NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE strategies (
    run_id TEXT, strategy_id TEXT, path TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (run_id, strategy_id)) STRICT, WITHOUT ROWID;
CREATE TABLE orders (
    book TEXT, client_order_id TEXT, run_id TEXT NOT NULL, strategy_id TEXT NOT NULL,
    strategy_version TEXT NOT NULL, venue TEXT NOT NULL, venue_order_id TEXT NOT NULL,
    instrument_id TEXT NOT NULL, market_id TEXT NOT NULL, event_id TEXT NOT NULL,
    side TEXT NOT NULL, tif TEXT NOT NULL, quantity TEXT NOT NULL, price TEXT,
    status TEXT NOT NULL, filled TEXT NOT NULL, notional TEXT NOT NULL, fees TEXT NOT NULL,
    reason TEXT NOT NULL, intent_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    created_ns INTEGER NOT NULL, updated_ns INTEGER NOT NULL,
    PRIMARY KEY (book, client_order_id)) STRICT, WITHOUT ROWID;
CREATE INDEX orders_status ON orders(book, status);
CREATE TABLE fills (
    seq INTEGER PRIMARY KEY, book TEXT NOT NULL, venue TEXT NOT NULL, trade_id TEXT NOT NULL,
    client_order_id TEXT NOT NULL, strategy_id TEXT NOT NULL, strategy_version TEXT NOT NULL,
    instrument_id TEXT NOT NULL, side TEXT NOT NULL, quantity TEXT NOT NULL, price TEXT NOT NULL,
    fee TEXT NOT NULL, currency TEXT NOT NULL, liquidity TEXT NOT NULL, ts_ns INTEGER NOT NULL,
    voided_seq INTEGER NOT NULL, void_reason TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX fills_trade ON fills(book, venue, trade_id, client_order_id);
CREATE TABLE movements (
    seq INTEGER, leg INTEGER, book TEXT NOT NULL, strategy_id TEXT NOT NULL, venue TEXT NOT NULL,
    instrument_id TEXT NOT NULL, how TEXT NOT NULL, quantity TEXT NOT NULL, price TEXT NOT NULL,
    multiplier TEXT NOT NULL, fee TEXT NOT NULL, currency TEXT NOT NULL,
    strategy_version TEXT NOT NULL, ts_ns INTEGER NOT NULL, voided INTEGER NOT NULL,
    PRIMARY KEY (seq, leg)) STRICT, WITHOUT ROWID;
CREATE INDEX movements_position ON movements(book, venue, instrument_id, strategy_id);
CREATE TABLE lots (
    book TEXT, strategy_id TEXT, venue TEXT, instrument_id TEXT, open_seq INTEGER,
    opened TEXT NOT NULL, quantity TEXT NOT NULL, price TEXT NOT NULL, multiplier TEXT NOT NULL,
    fee TEXT NOT NULL, currency TEXT NOT NULL, strategy_version TEXT NOT NULL,
    opened_ns INTEGER NOT NULL,
    PRIMARY KEY (book, strategy_id, venue, instrument_id, open_seq)) STRICT, WITHOUT ROWID;
CREATE TABLE trades (
    book TEXT, strategy_id TEXT, venue TEXT, instrument_id TEXT, open_seq INTEGER,
    close_seq INTEGER, how TEXT NOT NULL, quantity TEXT NOT NULL, open_price TEXT NOT NULL,
    close_price TEXT NOT NULL, cost TEXT NOT NULL, proceeds TEXT NOT NULL, fees TEXT NOT NULL,
    pnl TEXT NOT NULL, currency TEXT NOT NULL, strategy_version TEXT NOT NULL,
    opened_ns INTEGER NOT NULL, closed_ns INTEGER NOT NULL,
    PRIMARY KEY (book, strategy_id, venue, instrument_id, open_seq, close_seq)) STRICT, WITHOUT ROWID;
CREATE TABLE positions (
    book TEXT, strategy_id TEXT, venue TEXT, instrument_id TEXT, quantity TEXT NOT NULL,
    cost TEXT NOT NULL, realized_pnl TEXT NOT NULL, fees TEXT NOT NULL, currency TEXT NOT NULL,
    last_seq INTEGER NOT NULL, updated_ns INTEGER NOT NULL,
    PRIMARY KEY (book, strategy_id, venue, instrument_id)) STRICT, WITHOUT ROWID;
CREATE TABLE settlements (
    seq INTEGER PRIMARY KEY, book TEXT NOT NULL, venue TEXT NOT NULL, instrument_id TEXT NOT NULL,
    payout TEXT NOT NULL, quantity TEXT NOT NULL, held TEXT NOT NULL, source TEXT NOT NULL,
    ts_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE costs (
    seq INTEGER PRIMARY KEY, book TEXT NOT NULL, kind TEXT NOT NULL, amount TEXT NOT NULL,
    currency TEXT NOT NULL, venue TEXT NOT NULL, reference TEXT NOT NULL,
    ts_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE accounts (
    book TEXT, venue TEXT, currency TEXT, total TEXT NOT NULL, free TEXT NOT NULL,
    locked TEXT NOT NULL, equity TEXT, transfers TEXT NOT NULL, seq INTEGER NOT NULL,
    ts_ns INTEGER NOT NULL, PRIMARY KEY (book, venue, currency)) STRICT, WITHOUT ROWID;
CREATE TABLE totals (
    book TEXT PRIMARY KEY, cost TEXT NOT NULL, realized_pnl TEXT NOT NULL, fees TEXT NOT NULL,
    other_costs TEXT NOT NULL, open_positions INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE portfolio_hourly (
    book TEXT, hour_ns INTEGER, cash TEXT NOT NULL, equity TEXT, cost TEXT NOT NULL,
    realized_pnl TEXT NOT NULL, fees TEXT NOT NULL, other_costs TEXT NOT NULL,
    open_positions INTEGER NOT NULL, open_orders INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    PRIMARY KEY (book, hour_ns)) STRICT, WITHOUT ROWID;
CREATE TABLE budgets (
    book TEXT, period TEXT, kind TEXT, spent TEXT NOT NULL, calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    PRIMARY KEY (book, period, kind)) STRICT, WITHOUT ROWID;
CREATE TABLE halts (
    scope TEXT PRIMARY KEY, level TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL,
    seq INTEGER NOT NULL, since_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE anomalies (
    seq INTEGER, code TEXT, detail TEXT NOT NULL, PRIMARY KEY (seq, code)) STRICT, WITHOUT ROWID;
"""

#: Order in which tables are dumped and compared.
NAMES = (
    "meta",
    "runs",
    "strategies",
    "orders",
    "fills",
    "movements",
    "lots",
    "trades",
    "positions",
    "settlements",
    "costs",
    "accounts",
    "totals",
    "portfolio_hourly",
    "budgets",
    "halts",
    "anomalies",
)
