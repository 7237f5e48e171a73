"""Single binary markets of the sample: wide spreads and two-sided flow in one busy session a day.

A resting bid on each side earns the spread from impatient takers and loses it to those (62 in 100)
who trade in the direction of the next move. That is the whole edge of a passive pair, and its whole risk.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from adapters.polymarket.grid import grid_from_tick
from adapters.sample.beliefs import beliefs, draw_outcome
from adapters.sample.draws import Draws
from adapters.sample.ladders import Ladder, cents
from adapters.sample.publish import publish
from adapters.sample.schedule import DAY_S, busy, ns, pulse, spaced
from core.domain.fees import FeeSchedule
from core.domain.market import Event, Market, Outcome
from core.engine.catalog import CatalogWriter


@dataclass(frozen=True, slots=True)
class Question:
    """A binary market to generate; `spread` in cents, `prior` per mille."""

    key: str
    title: str
    category: str
    rate: str
    prior: int
    spread: int
    session_hour: int


QUESTIONS = (
    Question("Q1", "[synthetic] Will the bridge open this quarter?", "culture", "0.05", 520, 3, 13),
    Question("Q2", "[synthetic] Will the rate be cut in September?", "finance", "0.04", 430, 3, 15),
    Question("Q3", "[synthetic] Will the launch succeed?", "tech", "0.04", 610, 3, 18),
)
_SESSION_S, _STEP_S = 600, 10
#: No trades in the last minutes of a session; the book still moves.
_QUIET_S = 180
#: Takers per mille who trade in the direction of the next move.
_INFORMED = 620
_LAST_DAY = 89


def write_question(writer: CatalogWriter, question: Question, draws: Draws) -> None:
    """Generate and write one market."""
    slow = pulse(draws.child(1), 0, _LAST_DAY, 3600)
    fast: list[int] = []
    traded: set[int] = set()
    start = draws.child(2)
    for day in range(1, _LAST_DAY - 1):
        begin = day * DAY_S + question.session_hour * 3600 + start.one(0, 1800)
        session = busy(begin, _SESSION_S, _STEP_S)
        traded.update(session[: -_QUIET_S // _STEP_S])
        fast.extend(session)
    is_fast = set(fast)
    ticks = spaced(slow + fast)
    news = draws.child(3)
    tells = [news.chance(140 if t in is_fast else 500) for t in ticks]
    prior = (question.prior, 1000 - question.prior)
    winner = draw_outcome(draws.child(4), prior)
    path = beliefs(draws.child(5), prior, winner, tells, 75)
    ladder = Ladder(draws.child(6), levels=3, depth=(8, 60))
    flow = draws.child(7)
    for number, second in enumerate(ticks):
        p = path[number][0]
        lean = flow.one(-1, 2) if flow.chance(80) else 0
        ladder.quote(ns(second), *cents(p, question.spread, lean))
        if second in traded and flow.chance(380):
            following = path[min(number + 1, len(path) - 1)][0]
            buys = flow.chance(500)
            if flow.chance(_INFORMED) and following != p:
                buys = following > p
            ladder.trade(ns(second + 3), buys, flow.one(5, 80))
    _write(writer, question, ladder, winner == 0)


def _write(writer: CatalogWriter, question: Question, ladder: Ladder, yes: bool) -> None:
    condition = f"SAMPLE-{question.key}"
    market = Market(
        venue="POLYMARKET",
        market_id=condition,
        question=question.title,
        outcomes=(
            Outcome(f"{condition}-YES.POLYMARKET", "Yes", f"{condition}-1"),
            Outcome(f"{condition}-NO.POLYMARKET", "No", f"{condition}-2"),
        ),
        grid=grid_from_tick("0.01"),
        fees=FeeSchedule(
            "POLYMARKET",
            rate=Decimal(question.rate),
            exponent=Decimal(1),
            kind="curve",
            category=question.category,
        ),
        event_id=condition,
        category=question.category,
        min_size=Decimal(1),
        open_ns=ns(0),
        close_ns=ns(_LAST_DAY * DAY_S),
        synthetic=True,
    )
    publish(writer, market, ladder, yes, 7200)
    event = Event(
        "POLYMARKET",
        condition,
        question.title,
        (condition,),
        category=question.category,
        synthetic=True,
    )
    writer.events([event])
