"""The tax report: first in first out per account, fees by kind, years by zone."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.clock import ns_from_iso
from core.domain.errors import MissingData
from core.domain.fees import Side
from core.ledger import BatchLedger
from core.ledger.kinds import FeeCharged, FeeKind, FillVoided, RunMode, Settled
from core.ledger.projections import Projections
from core.ledger.registry import Payload
from core.ledger.tax import COLUMNS, tax_rows, write_csv
from tests.unit.core.ledger import rows_for_tests as make

D = Decimal


def write(directory: Path, *story: tuple[str, Payload]) -> Projections:
    with BatchLedger(directory) as ledger:
        ledger.begin_run(make.started("live-1", RunMode.LIVE), ts_event=ns_from_iso("2025-01-01"))
        for when, payload in story:
            ledger.append(payload, ts_event=ns_from_iso(when))
    projections = Projections(directory)
    projections.catch_up()
    return projections


def settled(quantity: str, payout: str) -> Settled:
    return Settled(
        venue="KALSHI",
        instrument_id=make.YES,
        payout=D(payout),
        quantity=D(quantity),
        currency="USD",
    )


def test_a_year_lists_each_disposal_cost_and_total(tmp_path: Path) -> None:
    p = write(
        tmp_path,
        ("2025-03-01", make.fill(trade="a", quantity="10", price="0.40", fee="0.10")),
        (
            "2025-06-01",
            make.fill(trade="b", quantity="10", price="0.50", fee="0.20", strategy="other"),
        ),
        (
            "2026-03-01",
            make.fill(trade="c", side=Side.SELL, quantity="15", price="0.60", fee="0.30"),
        ),
        (
            "2026-03-02T08:00:00Z",
            FeeCharged(fee_kind=FeeKind.GAS, amount=D("0.02"), currency="USD"),
        ),
        (
            "2026-03-02T09:00:00Z",
            FeeCharged(fee_kind=FeeKind.GAS, amount=D("0.03"), currency="USD"),
        ),
        ("2026-04-01", make.llm_call(D("0.5"))),
        ("2026-05-01", settled("5", "1")),
        ("2027-01-01", make.llm_call(D("9"))),
    )
    rows = tax_rows(p, 2026)
    disposals = [r for r in rows if r.row == "disposal"]
    assert [(r.quantity, r.how, r.acquired, r.days_held) for r in disposals] == [
        (D(10), "fill", "2025-03-01", 365),
        (D(5), "fill", "2025-06-01", 273),
        (D(5), "settlement", "2025-06-01", 334),
    ]
    assert [r.amounts["realized_pnl"] for r in disposals] == [D("1.70"), D("0.30"), D("2.40")]
    costs = [r.values() for r in rows if r.row == "cost"]
    assert [(c["how"], c["gas_fees"], c["ai_costs"], c["realized_pnl"]) for c in costs] == [
        ("gas", "0.05", "", "-0.05"),
        ("ai", "", "0.5", "-0.5"),
    ]
    (total,) = [r.values() for r in rows if r.row == "total"]
    assert (total["proceeds"], total["cost_basis"]) == ("14", "9")
    assert (total["exchange_fees"], total["gas_fees"], total["ai_costs"]) == ("0.6", "0.05", "0.5")
    assert total["realized_pnl"] == "3.85"
    assert tax_rows(p, 2025) == []


def test_the_csv_has_one_column_for_each_kind_of_fee_and_sums_to_the_total(tmp_path: Path) -> None:
    p = write(
        tmp_path,
        ("2026-03-01", make.fill(trade="a")),
        ("2026-03-02", make.fill(trade="b", side=Side.SELL, price="0.47")),
        ("2026-03-03", FeeCharged(fee_kind=FeeKind.FUNDING, amount=D("0.01"), currency="USD")),
        ("2026-03-03", FeeCharged(fee_kind=FeeKind.OTHER, amount=D("0.02"), currency="USD")),
    )
    out = io.StringIO()
    write_csv(tax_rows(p, 2026), out)
    lines = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert tuple(lines[0]) == COLUMNS
    for name in (
        "proceeds",
        "cost_basis",
        "exchange_fees",
        "funding",
        "other_costs",
        "realized_pnl",
    ):
        parts = [D(line[name]) for line in lines[:-1] if line[name]]
        assert sum(parts, D(0)) == D(lines[-1][name])


def test_the_year_begins_where_the_taxpayer_lives(tmp_path: Path) -> None:
    p = write(
        tmp_path,
        ("2025-06-01", make.fill(trade="a")),
        ("2026-01-01T02:00:00Z", make.fill(trade="b", side=Side.SELL)),
    )
    assert len(tax_rows(p, 2026)) == 2
    assert len(tax_rows(p, 2025)) == 0
    assert len(tax_rows(p, 2025, zone="America/New_York")) == 2
    assert tax_rows(p, 2025, zone="America/New_York")[0].disposed == "2025-12-31"


def test_a_voided_fill_is_no_disposal_and_an_unknown_book_is_named(tmp_path: Path) -> None:
    p = write(
        tmp_path,
        ("2026-02-01", make.fill(trade="a")),
        ("2026-02-02", make.fill(trade="b", side=Side.SELL)),
        ("2026-02-03", FillVoided(client_order_id="O-1", trade_id="b", venue="KALSHI", reason="x")),
    )
    assert tax_rows(p, 2026) == []
    with pytest.raises(MissingData, match="--book live"):
        tax_rows(p, 2026, "paper")
