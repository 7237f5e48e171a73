"""What happened in a run, kept once: result rows, the decision hash, and ledger rows when a ledger is given.

Every method is called at the moment of the event with the simulated time. Each ledger row names the rows it
came from: snapshot and proposal -> verdict -> intent -> order events -> fills -> settlement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableSequence
from copy import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from core.domain.decision import Forecast, OrderIntent, Proposal, Verdict
from core.domain.fees import Side
from core.domain.money import ZERO
from core.engine.decision_hash import DecisionHash, number
from core.engine.draws import Draws
from core.engine.references import InstrumentRef
from core.engine.results import FillRow, ForecastRow, OrderRow, SettlementRow
from core.ledger import Ledger, kinds
from core.risk.gate import Gate
from core.risk.states import RiskEvent, TradingState

if TYPE_CHECKING:
    from core.engine.session import Level

#: Refused orders kept as rows; more are only counted (a strategy can be refused at every quote).
MAX_REFUSALS = 10_000
MAX_FORECASTS = 1_000_000


class OrderRecord(msgspec.Struct, eq=False):
    """One order on its way: what it was, what became of it.

    Attributes
    ----------
    native : ClientOrderId
        Its id as the engine has it.
    sent : Decimal
        What of it was sent: less than was asked for where the rest was taken before.
    quantity, limit
        Its terms in force; `pending` has those that were asked for and not answered yet.
    row_seq : int
        Row of the ledger that its next row comes from.
    """

    intent: OrderIntent
    ref: InstrumentRef
    sent: Decimal
    native: Any
    quantity: Decimal
    limit: Decimal | None
    status: str = "SUBMITTED"
    code: str = ""
    is_open: bool = True
    pending: OrderIntent | None = None
    fills: int = 0
    filled: Decimal = ZERO
    notional: Decimal = ZERO
    row_seq: int = 0

    def row(self) -> OrderRow:
        """Return the order as a result row."""
        i = self.intent
        return OrderRow(
            order_id=i.client_order_id,
            ts_ns=i.ts_ns,
            strategy_id=i.strategy_id,
            venue=i.venue,
            market_id=i.market_id,
            instrument_id=i.instrument_id,
            side=i.side.value,
            quantity=self.quantity,
            price=self.limit,
            tif=i.tif.value,
            status=self.status,
            filled=self.filled,
            avg_price=self.notional / self.filled if self.filled else None,
            code=self.code,
            reason=i.reason,
        )


class Hears(Protocol):
    """Keeps when a strategy heard of a row (`core.engine.live.hearing`)."""

    def booked(self, client_order_id: str, trade_id: str, seq: int) -> None:
        """Note the row of a fill, or of the end of an order (no trade)."""

    def told(self, client_order_id: str, trade_id: str = "") -> None:
        """Note that the strategy hears of it now."""

    def at_once(self, seq: int) -> None:
        """Note a row that is known as it is booked."""


class Causes:
    """Rows that later rows name: the last fill of each holding, and the last row that moved money.

    Attributes
    ----------
    source : int
        Row of the data set of the run, or of the feed of a node: what every decision saw came from it.
    fills : dict
        (strategy id, instrument id) to the row of its last fill.
    money : int
        Row of the last fill, merge or settlement.
    hearing : Hears, optional
        On a node: writes when strategies heard of a row.
    """

    __slots__ = ("fills", "hearing", "money", "source")

    def __init__(self) -> None:
        self.source = self.money = 0
        self.hearing: Hears | None = None
        self.fills: dict[tuple[str, str], int] = {}

    def filled(self, strategy_id: str, instrument_id: str, seq: int) -> None:
        """Note the row of a fill."""
        self.fills[(strategy_id, instrument_id)] = self.money = seq

    def of_holding(self, strategy_id: str, instrument_ids: Iterable[str]) -> tuple[int, ...]:
        """Return the rows behind a holding: its last fills, else the data."""
        found = {self.fills.get((strategy_id, iid), 0) for iid in instrument_ids} - {0}
        return tuple(sorted(found)) or tuple(filter(None, (self.source,)))

    def of_money(self) -> tuple[int, ...]:
        """Return the row behind a change of balances or of risk: the last move of money, else the data."""
        seq = self.money or self.source
        return (seq,) if seq else ()


class Journal:
    """Rows, hash and ledger of one run.

    Attributes
    ----------
    orders : dict
        Sent orders by client order id.
    arrivals : list
        Sent orders and refusals in the order in which they were asked for.
    refusals : dict
        Number of refusals by code (all of them, also those without a row).

    Parameters
    ----------
    ledger : Ledger, optional
        Where rows go; None keeps none and costs nothing.
    """

    def __init__(
        self,
        ledger: Ledger | None = None,
        currency_of: dict[str, str] | None = None,
        causes: Causes | None = None,
    ) -> None:
        self.ledger = ledger
        self.hash = DecisionHash()
        self.orders: dict[str, OrderRecord] = {}
        self.arrivals: MutableSequence[OrderRecord | OrderRow] = []
        self._refused = 0
        self.refusals: dict[str, int] = {}
        self.fills: MutableSequence[FillRow] = []
        self.settlements: MutableSequence[SettlementRow] = []
        self.merges: MutableSequence[tuple[int, str, str, Decimal, int]] = []
        self.causes = causes or Causes()
        #: Random sources of the strategies: what they draw for a decision becomes rows.
        self.draws: dict[str, Draws] = {}
        self.forecasts: MutableSequence[ForecastRow] = []
        self.risks: MutableSequence[RiskEvent] = []
        self._currency_of = currency_of or {}
        self._proposals: dict[tuple[str, str], tuple[int, int]] = {}

    # -- what was thought -------------------------------------------------------------------
    def forecast(
        self, strategy_id: str, ref: InstrumentRef, made: Forecast, mid: Decimal | None, now_ns: int
    ) -> int:
        """Keep a forecast with the market's mid at the same moment; return its ledger row."""
        if len(self.forecasts) < MAX_FORECASTS:
            self.forecasts.append(
                ForecastRow(
                    now_ns,
                    ref.iid,
                    ref.market.market_id,
                    ref.market.event_id,
                    float(made.probability),
                    None if mid is None else float(mid),
                    None,
                    made.model_id,
                )
            )
        self.hash.add(
            "forecast", now_ns, strategy_id, ref.iid, number(made.probability), made.model_id
        )
        if self.ledger is None:
            return 0
        row = kinds.ForecastMade.of(strategy_id, made, mid)
        parents = (*self._source(), *self._drawn(strategy_id, now_ns))
        return self.ledger.append(row, ts_event=now_ns, parents=parents)

    def proposal(self, made: Proposal, now_ns: int) -> int:
        """Keep a proposal; return its ledger row."""
        self.hash.add(
            "proposal",
            now_ns,
            made.strategy_id,
            made.instrument_id,
            made.side.value,
            number(made.quantity),
            number(made.price),
            number(made.edge),
            made.reason,
        )
        if self.ledger is None:
            return 0
        parents = (made.forecast_seq,) if made.forecast_seq else self._source()
        parents += self._drawn(made.strategy_id, now_ns)
        seq = self.ledger.append(kinds.ProposalMade.of(made), ts_event=now_ns, parents=parents)
        self._proposals[(made.strategy_id, made.instrument_id)] = (now_ns, seq)
        return seq

    # -- what was judged and sent -----------------------------------------------------------
    def refusal(
        self, intent: OrderIntent, code: str, verdict: Callable[[], Verdict] | None
    ) -> None:
        """Keep a refused intent."""
        self.refusals[code] = self.refusals.get(code, 0) + 1
        self.hash.add("refused", code, intent)
        self._refused += 1
        if self._refused <= MAX_REFUSALS:
            self.arrivals.append(
                OrderRow(
                    intent.client_order_id,
                    intent.ts_ns,
                    intent.strategy_id,
                    intent.venue,
                    intent.market_id,
                    intent.instrument_id,
                    intent.side.value,
                    intent.quantity,
                    intent.price,
                    intent.tif.value,
                    "REFUSED",
                    ZERO,
                    None,
                    code,
                    intent.reason,
                )
            )
        if self.ledger is not None:
            if verdict is None:
                verdict = partial(Verdict, intent.client_order_id, False, code, (), intent.ts_ns)
            parents = self._thought(intent) or self._source()
            self.ledger.append_made(judged, verdict, ts_event=intent.ts_ns, parents=parents)

    def sent(
        self,
        record: OrderRecord,
        verdict: Callable[[], Verdict] | None,
        seen: tuple[Level | None, Level | None] | None,
    ) -> None:
        """Keep an approved intent that is about to be sent, with the top of the book that it saw."""
        intent = record.intent
        self.orders[intent.client_order_id] = record
        self.arrivals.append(record)
        self.hash.add("order", intent)
        ledger = self.ledger
        if ledger is None or verdict is None:
            return
        now = intent.ts_ns
        parents = self._thought(intent)
        if seen is not None:
            at_ns = data_ns(record.ref)
            row = ledger.append_made(
                snapshot, record.ref.iid, seen, at_ns, ts_event=now, parents=self._source()
            )
            parents = (*parents, row)
        given = ledger.append_made(judged, verdict, ts_event=now, parents=parents)
        record.row_seq = ledger.append_made(
            kinds.OrderIntended.of, intent, ts_event=now, parents=(given,)
        )

    def _source(self) -> tuple[int, ...]:
        """Return the row of the data that a run or a node sees."""
        seq = self.causes.source
        return (seq,) if seq else ()

    def _thought(self, intent: OrderIntent) -> tuple[int, ...]:
        """Return the proposal row of this very moment, if one was recorded, and what was drawn."""
        at, seq = self._proposals.get((intent.strategy_id, intent.instrument_id), (-1, 0))
        drawn = self._drawn(intent.strategy_id, intent.ts_ns) if self.draws else ()
        return (seq, *(n for n in drawn if n != seq)) if seq and at == intent.ts_ns else drawn

    def _drawn(self, strategy_id: str, now_ns: int) -> tuple[int, ...]:
        """Return the rows of what a strategy has drawn at this moment; those that have none are written."""
        source, ledger = self.draws.get(strategy_id), self.ledger
        if source is None or ledger is None:
            return ()
        for index, value in source.taken(now_ns):
            row = kinds.RandomDraw(
                stream=source.stream, seed=source.run_seed, index=index, value=value
            )
            source.rows.append(ledger.append(row, ts_event=now_ns))
        return tuple(source.rows)

    # -- what became of it ------------------------------------------------------------------
    def event(self, record: OrderRecord, status: str, ts_ns: int, reason: str = "") -> None:
        """Keep a change of an order that is not a fill."""
        order_id = record.intent.client_order_id
        record.status = status
        if reason:
            record.code = reason
        self.hash.add(status, ts_ns, order_id, reason)
        if self.ledger is None:
            return
        kind = _EVENT_KINDS.get(status)
        if kind is not None:
            parents = (record.row_seq,) if record.row_seq else ()
            seq = self.ledger.append_made(
                order_event, kind, order_id, reason, ts_event=ts_ns, parents=parents
            )
            if status == "ACCEPTED":
                record.row_seq = seq

    def modifying(self, record: OrderRecord, intent: OrderIntent, verdict: Verdict | None) -> None:
        """Keep an approved change that is about to be sent, with the gate's verdict on it."""
        self.hash.add("modify", intent)
        if self.ledger is not None:
            parents = [record.row_seq] if record.row_seq else []
            if verdict is not None:
                given = kinds.VerdictGiven.of(verdict)
                seen = self._thought(intent) or self._source()
                parents.append(self.ledger.append(given, ts_event=intent.ts_ns, parents=seen))
            row = kinds.OrderModifyRequested(
                client_order_id=record.intent.client_order_id,
                quantity=intent.quantity,
                price=intent.price,
            )
            record.row_seq = self.ledger.append(row, ts_event=intent.ts_ns, parents=parents)

    def modified(self, record: OrderRecord, ts_ns: int) -> None:
        """Keep a change that the venue has confirmed: `record` has the new terms."""
        self.event(record, "UPDATED", ts_ns)
        if self.ledger is not None:
            row = kinds.OrderModified(
                client_order_id=record.intent.client_order_id,
                quantity=record.quantity,
                price=record.limit,
            )
            parents = (record.row_seq,) if record.row_seq else ()
            record.row_seq = self.ledger.append(row, ts_event=ts_ns, parents=parents)

    def modify_rejected(self, record: OrderRecord, ts_ns: int, reason: str) -> None:
        """Keep a change that the venue has refused: the order stays as it was."""
        if self.ledger is not None:
            row = kinds.OrderModifyRejected(
                client_order_id=record.intent.client_order_id, reason=reason
            )
            parents = (record.row_seq,) if record.row_seq else ()
            record.row_seq = self.ledger.append(row, ts_event=ts_ns, parents=parents)

    def fill(self, record: OrderRecord, fill: FillRow, trade_id: str, event: Any) -> FillRow:
        """Keep a fill; return it with its ledger row.

        Parameters
        ----------
        event : OrderFilled
            The engine's event, for the venue's own order id.
        """
        record.filled += fill.quantity
        record.notional += fill.quantity * fill.price
        self.hash.add("fill", fill)
        if self.ledger is None:
            self.fills.append(fill)
            return fill
        parents = (record.row_seq,) if record.row_seq else ()
        seq = self.ledger.append_made(
            filled,
            fill,
            event.venue_order_id.value,
            trade_id,
            self._currency_of.get(fill.venue, "USD"),
            ts_event=fill.ts_ns,
            parents=parents,
        )
        self.causes.filled(fill.strategy_id, fill.instrument_id, seq)
        fill = replace(fill, ledger_seq=seq)
        self.fills.append(fill)
        return fill

    def voided(self, record: OrderRecord, quantity: Decimal, price: Decimal, ts_ns: int) -> None:
        """Keep that the venue took a fill back; the fill stays in the list, as history."""
        record.filled -= quantity
        record.notional -= quantity * price
        record.status = "VOIDED"
        self.hash.add("voided", ts_ns, record.intent.client_order_id, number(quantity))

    def merge(self, strategy_id: str, ref: InstrumentRef, pairs: Decimal, ts_ns: int) -> None:
        """Keep a merge of `pairs` YES and NO into dollars."""
        market, seq = ref.market, 0
        self.hash.add("merge", ts_ns, strategy_id, market.market_id, number(pairs))
        if self.ledger is not None:
            ids = tuple(o.instrument_id for o in market.outcomes)
            row = kinds.PositionsMerged(
                venue=market.venue,
                instrument_ids=ids,
                quantity=pairs,
                proceeds=pairs,
                currency=self._currency_of.get(market.venue, "USD"),
                strategy_id=strategy_id,
            )
            parents = self.causes.of_holding(strategy_id, ids)
            seq = self.ledger.append(row, ts_event=ts_ns, parents=parents)
            self.causes.money = seq
        self.merges.append((ts_ns, strategy_id, market.market_id, pairs, seq))

    def settlement(self, row: SettlementRow, ref: InstrumentRef) -> None:
        """Keep the payout of one strategy's holding."""
        self.settlements.append(row)
        self.hash.add_leg(
            row.ts_ns, row.instrument_id, row.strategy_id, number(row.payout), number(row.quantity)
        )
        self.fills.append(
            FillRow(
                ts_ns=row.ts_ns,
                order_id=f"settlement-{row.instrument_id}-{row.strategy_id}",
                strategy_id=row.strategy_id,
                venue=ref.venue,
                market_id=row.market_id,
                instrument_id=row.instrument_id,
                side="SELL",
                role="settlement",
                price=row.payout,
                quantity=row.quantity,
                fee=ZERO,
                fee_rule="settlement",
                reason="settlement",
                ledger_seq=self._settled(row, ref),
            )
        )

    def account(self, gate: Gate, equity: Decimal, ts_ns: int) -> None:
        """Keep the balances of every venue (start, settlements, end)."""
        if self.ledger is None:
            return
        for venue, code in self._currency_of.items():
            total, free = gate.cash(venue), gate.free_cash(venue)
            row = kinds.AccountState(
                venue=venue,
                currency=code,
                total=total,
                free=free,
                locked=total - free,
                equity=equity if len(self._currency_of) == 1 else None,
            )
            self.ledger.append(row, ts_event=ts_ns, parents=self.causes.of_money())

    def risk(self, event: RiskEvent) -> None:
        """Keep a move of the risk layer: a halt, a posture, a cool-down, an anomaly."""
        self.risks.append(event)
        self.hash.add(
            "risk", event.ts_ns, event.machine, event.subject, str(event.before), str(event.after)
        )
        if self.ledger is None:
            return
        row = kinds.StateChanged(
            machine=event.machine,
            subject=event.subject,
            before=str(event.before),
            after=str(event.after),
            reason=event.reason,
        )
        seq = self.ledger.append(row, ts_event=event.ts_ns, parents=self._moved_by(event))
        if event.machine == "trading" and event.after != TradingState.RUNNING:
            self.ledger.append(
                kinds.Halted(level=str(event.after), source=event.subject, reason=event.reason),
                ts_event=event.ts_ns,
                parents=(seq,),
            )

    def _moved_by(self, event: RiskEvent) -> tuple[int, ...]:
        """Return the rows behind a move of the risk layer: what last moved money, else the data."""
        return self.causes.of_money()

    def _settled(self, row: SettlementRow, ref: InstrumentRef) -> int:
        if self.ledger is None:
            return 0
        payload = kinds.Settled(
            venue=ref.venue,
            instrument_id=row.instrument_id,
            payout=row.payout,
            quantity=row.quantity,
            currency=self._currency_of.get(ref.venue, "USD"),
            source="instrument close",
            strategy_id=row.strategy_id,
        )
        last = self.causes.fills.get((row.strategy_id, row.instrument_id), 0)
        parents = (*self._source(), last) if last else self._source()
        seq = self.ledger.append(payload, ts_event=row.ts_ns, parents=sorted(parents))
        self.causes.money = seq
        return seq


def data_ns(ref: InstrumentRef) -> int:
    """Return the time of the newest row of data that a strategy has seen of an instrument; 0 = none."""
    return 0 if ref.news is None else int(ref.news.ts_init)


def snapshot(
    iid: str, seen: tuple[Level | None, Level | None], ts_data_ns: int
) -> kinds.DataSnapshot:
    """Return the row of the top of a book as a decision saw it."""
    bid, ask = seen
    return kinds.DataSnapshot(
        instrument_id=iid,
        bid=None if bid is None else bid.price,
        bid_size=None if bid is None else bid.size,
        ask=None if ask is None else ask.price,
        ask_size=None if ask is None else ask.size,
        ts_data_ns=ts_data_ns,
    )


def judged(verdict: Callable[[], Verdict]) -> kinds.VerdictGiven:
    """Return the row of a gate's answer, which is put into words only here."""
    return kinds.VerdictGiven.of(verdict())


def order_event(
    kind: type[kinds.orders.OrderEvent], client_order_id: str, reason: str
) -> kinds.orders.OrderEvent:
    """Return the row of a change of an order that is not a fill."""
    return kind(client_order_id=client_order_id, reason=reason)


def filled(fill: FillRow, venue_order_id: str, trade_id: str, code: str) -> kinds.OrderFilled:
    """Return the row of a fill; `code` is the currency of its fee."""
    return kinds.OrderFilled(
        client_order_id=fill.order_id,
        venue_order_id=venue_order_id,
        trade_id=trade_id,
        strategy_id=fill.strategy_id,
        venue=fill.venue,
        instrument_id=fill.instrument_id,
        side=Side(fill.side),
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
        currency=code,
        liquidity=fill.role,
    )


_EVENT_KINDS: dict[str, type[kinds.orders.OrderEvent]] = {
    "ACCEPTED": kinds.OrderAccepted,
    "REJECTED": kinds.OrderRejected,
    "DENIED": kinds.OrderDenied,
    "CANCELED": kinds.OrderCanceled,
    "EXPIRED": kinds.OrderExpired,
}
