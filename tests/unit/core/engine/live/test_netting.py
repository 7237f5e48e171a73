"""Kalshi nets YES against NO: two opposite purchases that were on their way together are dollars once both have filled."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from core.engine.journal import Causes
from core.engine.live.conversions import net
from core.ledger import DurableLedger
from core.ledger.kinds import PositionsMerged
from core.ledger.projections import Projections
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk.units import dollars
from tests.unit.core.ledger import rows_for_tests as make
from tests.unit.core.risk.world import KNO, KYES, PNO, PYES, D, Desk, world

T0 = make.T0


def both(folder: Path, venue: str, yes: str, no: str) -> tuple[Desk, list[PositionsMerged]]:
    """Buy five YES and six NO whose orders are on their way together; return the rows of merges."""
    desk = Desk(world())
    gate = desk.gate
    with DurableLedger(folder) as ledger:
        ledger.begin_run(make.started(), ts_event=T0)
        causes = Causes()
        context = SimpleNamespace(ledger=ledger, causes=causes, currency="USD")
        sent = [
            (iid, desk.send(iid, "BUY", size, "0.48", now_ns=T0).intent)
            for iid, size in ((yes, "5"), (no, "6"))
        ]
        for iid, intent in sent:
            size = str(intent.quantity)
            desk.fill(intent.client_order_id, size, "0.48")
            row = make.fill(
                intent.client_order_id, f"T-{iid}", quantity=size, price="0.48", fee="0",
                instrument=iid, strategy="S1",
            )  # fmt: skip
            causes.filled("S1", iid, ledger.append(row, ts_event=T0))
            net(context, gate, venue, iid, D("0.48"), T0)  # type: ignore[arg-type]
    rows = LedgerReader(folder).rows(Selection(kinds=("position.merged",)))
    found = [(row.parent_seqs, row.decoded()) for row in rows]
    assert all(parents == tuple(sorted(causes.fills.values())) for parents, _ in found)
    return desk, [merged for _, merged in found if isinstance(merged, PositionsMerged)]


def test_a_pair_is_dollars_in_gate_and_ledger_and_the_rest_can_be_sold(tmp_path: Path) -> None:
    desk, (merged,) = both(tmp_path, "KALSHI", KYES, KNO)
    gate = desk.gate
    assert (merged.quantity, merged.proceeds, merged.strategy_id) == (D(5), D(5), "S1")
    assert gate.book.held.get(KYES, 0) == 0
    assert (gate.position("S1", KNO), gate.sellable("S1", KNO)) == (D(1), D(1))
    assert gate.cash("KALSHI") == 100 - 11 * D("0.48") + 5
    assert dollars(gate.book.committed) == D("0.48")
    assert desk.send(KNO, "SELL", "1", "0.47", now_ns=T0 + 1).approved
    with Projections(tmp_path) as projections:
        projections.catch_up()
        held = projections.query("SELECT instrument_id, quantity FROM positions")
        assert [p["instrument_id"] for p in held if D(str(p["quantity"]))] == [KNO]


def test_a_pair_of_two_strategies_is_dollars_for_both_at_the_price_of_the_later_fill(
    tmp_path: Path,
) -> None:
    """The gate lets no two come to it; an order that was proven absent and fills after all does."""
    desk = Desk(world())
    gate = desk.gate
    desk.hold(KYES, "5", "0.40")
    desk.hold(KNO, "3", "0.62", "S2")
    before = gate.cash("KALSHI")
    with DurableLedger(tmp_path) as ledger:
        ledger.begin_run(make.started(), ts_event=T0)
        causes = Causes()
        for owner, iid, size, price in (("S1", KYES, "5", "0.40"), ("S2", KNO, "3", "0.62")):
            row = make.fill(
                f"O-{owner}", f"T-{owner}", quantity=size, price=price, fee="0", instrument=iid, strategy=owner,
            )  # fmt: skip
            causes.filled(owner, iid, ledger.append(row, ts_event=T0))
        context = SimpleNamespace(ledger=ledger, causes=causes, currency="USD")
        net(context, gate, "KALSHI", KNO, D("0.62"), T0)  # type: ignore[arg-type]
    assert (gate.position("S1", KYES), gate.position("S2", KNO)) == (2, 0)
    assert gate.cash("KALSHI") == before + 3
    assert dollars(gate.book.committed) == D("0.80")
    rows = list(LedgerReader(tmp_path).rows(Selection(kinds=("position.merged",))))
    behind = tuple(sorted(causes.fills.values()))
    assert [r.parent_seqs for r in rows] == [behind, behind]
    with Projections(tmp_path) as projections:
        projections.catch_up()
        told = {
            str(p["strategy_id"]): (D(str(p["quantity"])), D(str(p["realized_pnl"])))
            for p in projections.query("SELECT * FROM positions")
        }
        assert told == {"S1": (2, D("-0.06")), "S2": (0, 0)}


def test_where_pairs_stay_tokens_nothing_is_merged(tmp_path: Path) -> None:
    desk, merged = both(tmp_path, "POLYMARKET", PYES, PNO)
    assert merged == []
    assert desk.gate.position("S1", PYES) == 5
    assert desk.gate.position("S1", PNO) == 6
