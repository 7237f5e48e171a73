"""Fold one ledger row into the projections. Only the row and what was folded before decide."""

from __future__ import annotations

from decimal import Decimal

from core.domain.clock import date_from_ns
from core.domain.money import ZERO
from core.ledger.kinds import (
    PROCESS_SCOPE,
    AccountState,
    FeeCharged,
    FeeKind,
    FillVoided,
    Halted,
    LlmCall,
    OrderFilled,
    OrderIntended,
    OrderModified,
    OrderModifyRejected,
    OrderModifyRequested,
    OrderModifyUnknown,
    PositionsMerged,
    PositionsSplit,
    Resumed,
    RunEnded,
    RunStarted,
    Settled,
    Transferred,
)
from core.ledger.kinds.orders import OrderEvent
from core.ledger.lots import EXACT
from core.ledger.projections import orders, positions
from core.ledger.projections.state import State, book_of_mode, text
from core.ledger.rows import Row

#: Kinds that are folded; the rest of the ledger is passed over by the reader.
KINDS = (
    "run.started",
    "run.ended",
    "order.*",
    "settlement",
    "position.*",
    "account",
    "account.transfer",
    "fee.charged",
    "llm.call",
    "halt",
    "resume",
)


def fold_row(state: State, row: Row) -> None:
    """Fold a row of one of `KINDS`."""
    payload = row.decoded()
    book = state.books.get(row.run_id, "")
    if isinstance(payload, RunStarted):
        _started(state, row, payload)
        return
    state.before(book, row.ts_event)
    match payload:
        case RunEnded():
            state.run(
                "UPDATE runs SET outcome = ?, last_seq = ?, ended_ns = ? WHERE run_id = ?",
                payload.outcome,
                row.seq,
                row.ts_event,
                payload.run_id,
            )
        case OrderIntended():
            orders.intended(state, book, row, payload)
        case OrderFilled():
            orders.filled(state, book, row, payload)
        case FillVoided():
            orders.voided(state, book, row, payload)
        case OrderModified():
            orders.modified(state, book, row, payload)
        case OrderModifyRequested() | OrderModifyRejected() | OrderModifyUnknown():
            orders.asked(state, book, row, payload)
        case OrderEvent():
            orders.changed(state, book, row, payload)
        case Settled():
            positions.settle(state, book, row, payload)
        case PositionsMerged() | PositionsSplit():
            positions.convert(state, book, row, payload)
        case _:
            _money_and_control(state, book, row, payload)
    state.touch(book, row.seq, row.ts_event)


def _money_and_control(state: State, book: str, row: Row, payload: object) -> None:
    """Fold balances, costs and halts."""
    match payload:
        case AccountState():
            _account(state, book, row, payload)
        case Transferred():
            _transfer(state, book, row, payload)
        case FeeCharged():
            _cost(
                state,
                book,
                row,
                payload.fee_kind,
                payload.amount,
                payload.currency,
                payload.venue,
                payload.reference,
            )
            if payload.fee_kind is FeeKind.AI:
                _spend(state, book, row, payload.amount, 0, 0)
        case LlmCall():
            if payload.cost_usd:
                _cost(
                    state,
                    book,
                    row,
                    FeeKind.AI,
                    payload.cost_usd,
                    "USD",
                    payload.tier,
                    payload.model,
                )
            _spend(state, book, row, payload.cost_usd, payload.input_tokens, payload.output_tokens)
        case Halted():
            state.run(
                "INSERT OR REPLACE INTO halts VALUES (?, ?, ?, ?, ?, ?)",
                payload.scope,
                payload.level,
                payload.source,
                payload.reason,
                row.seq,
                row.ts_event,
            )
        case Resumed():
            state.run("DELETE FROM halts WHERE scope = ?", payload.scope)


def _started(state: State, row: Row, p: RunStarted) -> None:
    """Begin a run; what a process before it stopped for is over."""
    state.run("DELETE FROM halts WHERE scope = ?", PROCESS_SCOPE)
    book = book_of_mode(p.mode, p.run_id)
    state.books[p.run_id] = book
    state.run(
        "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, '', ?, ?, ?, ?, 0, ?, 0)",
        p.run_id,
        book,
        p.mode,
        p.config_sha256,
        p.code_sha,
        str(p.seed),
        row.seq,
        row.ts_event,
    )
    for version in p.strategies:
        state.versions[(p.run_id, version.strategy_id)] = version.sha256
        state.run(
            "INSERT OR REPLACE INTO strategies VALUES (?, ?, ?, ?)",
            p.run_id,
            version.strategy_id,
            version.path,
            version.sha256,
        )
    state.touch(book, row.seq, row.ts_event)


def _account(state: State, book: str, row: Row, p: AccountState) -> None:
    """Keep the newest balances of an account."""
    old = state.one(
        "SELECT transfers FROM accounts WHERE book = ? AND venue = ? AND currency = ?",
        book,
        p.venue,
        p.currency,
    )
    state.run(
        "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        book,
        p.venue,
        p.currency,
        text(p.total),
        text(p.free),
        text(p.locked),
        None if p.equity is None else text(p.equity),
        old[0] if old else "0",
        row.seq,
        row.ts_event,
    )


def _transfer(state: State, book: str, row: Row, p: Transferred) -> None:
    """Add up deposits and withdrawals of an account."""
    old = state.one(
        "SELECT transfers FROM accounts WHERE book = ? AND venue = ? AND currency = ?",
        book,
        p.venue,
        p.currency,
    )
    if old is None:
        state.run(
            "INSERT INTO accounts VALUES (?, ?, ?, '0', '0', '0', NULL, ?, ?, ?)",
            book,
            p.venue,
            p.currency,
            text(p.amount),
            row.seq,
            row.ts_event,
        )
        return
    state.run(
        "UPDATE accounts SET transfers = ? WHERE book = ? AND venue = ? AND currency = ?",
        text(EXACT.add(Decimal(str(old[0])), p.amount)),
        book,
        p.venue,
        p.currency,
    )


def _cost(
    state: State,
    book: str,
    row: Row,
    kind: FeeKind,
    amount: Decimal,
    currency: str,
    venue: str,
    reference: str,
) -> None:
    """Book a cost that belongs to no fill."""
    state.run(
        "INSERT INTO costs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row.seq,
        book,
        kind,
        text(amount),
        currency,
        venue,
        reference,
        row.ts_event,
    )
    state.add_totals(book, other=amount)


def _spend(
    state: State, book: str, row: Row, amount: Decimal, tokens_in: int, tokens_out: int
) -> None:
    """Count AI spending by UTC day, by month and in total."""
    day = date_from_ns(row.ts_event)
    for period in (f"day:{day:%Y-%m-%d}", f"month:{day:%Y-%m}", "total"):
        old = state.one(
            "SELECT spent, calls, input_tokens, output_tokens FROM budgets "
            "WHERE book = ? AND period = ? AND kind = 'ai'",
            book,
            period,
        )
        spent = Decimal(str(old[0])) if old else ZERO
        calls, before_in, before_out = (int(str(v)) for v in old[1:]) if old else (0, 0, 0)
        state.run(
            "INSERT OR REPLACE INTO budgets VALUES (?, ?, 'ai', ?, ?, ?, ?, ?)",
            book,
            period,
            text(EXACT.add(spent, amount)),
            calls + 1,
            before_in + tokens_in,
            before_out + tokens_out,
            row.seq,
        )
