"""Neg-risk events of the sample: efficient books, and a few moments when they are not.

A dislocation lasts 40 to 160 seconds: impatient flow lifts the bids of some outcomes (a NO basket pays) or
pushes the asks down (a YES basket pays). Depth is 20 to 120 shares a leg. About a third of them are too
small to clear fees, as most are in life. Between them no basket pays at any price shown.
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

#: What the outcomes are worth beyond a dollar in a dislocation, cents; 2 and 3 do not clear the fees.
_SIZES = (5, 2, 7, 3, 6, 8)
#: Trading ends three hours before the last day is over, so that settlement is inside the period.
_CLOSE_BEFORE_S = 3 * 3600
#: Second of the day at which the daily session of eight minutes begins.
_SESSION_S = 17 * 3600
FEES = FeeSchedule(
    "POLYMARKET", rate=Decimal("0.04"), exponent=Decimal(1), kind="curve", category="politics"
)


@dataclass(frozen=True, slots=True)
class Contest:
    """A neg-risk event to generate.

    Attributes
    ----------
    prior : tuple of int
        Probability of each outcome at the start, per mille.
    dislocations : int
        How many moments of mispricing.
    """

    key: str
    title: str
    names: tuple[str, ...]
    prior: tuple[int, ...]
    first_day: int
    last_day: int
    dislocations: int


_PARTIES = ("Red", "Blue", "Other")
_PEOPLE = ("Alder", "Birch", "Cedar", "Other")
CONTESTS = (
    Contest("A", "[synthetic] Who chairs the committee?", _PEOPLE, (400, 300, 200, 100), 0, 18, 3),
    Contest("B", "[synthetic] Which party leads poll 1?", _PARTIES, (480, 380, 140), 14, 33, 3),
    Contest("C", "[synthetic] Who wins the primary?", _PEOPLE, (350, 330, 220, 100), 28, 48, 4),
    Contest("D", "[synthetic] Which party leads poll 2?", _PARTIES, (440, 410, 150), 43, 62, 3),
    Contest("E", "[synthetic] Who becomes minister?", _PEOPLE, (450, 250, 180, 120), 57, 76, 4),
    Contest("F", "[synthetic] Which party leads poll 3?", _PARTIES, (500, 350, 150), 71, 90, 3),
)


@dataclass(frozen=True, slots=True)
class Dislocation:
    """A mispriced moment: seconds, shift in cents of all legs together, which side."""

    begin_s: int
    end_s: int
    cents: int
    shape: str


def write_contest(writer: CatalogWriter, contest: Contest, draws: Draws) -> None:
    """Generate and write one event."""
    moments = _dislocations(contest, draws.child(1))
    slow = pulse(draws.child(2), contest.first_day, contest.last_day, 3600)
    fast = [t for d in moments for t in busy(d.begin_s - 30, d.end_s - d.begin_s + 60, 5)]
    traded = set(fast)
    for day in range(contest.first_day + 1, contest.last_day - 1):
        session = busy(day * DAY_S + _SESSION_S, 480, 15)
        traded.update(session[:-12])  # three quiet minutes at the end
        fast.extend(session)
    close_s = contest.last_day * DAY_S - _CLOSE_BEFORE_S
    ticks = spaced(t for t in slow + fast if t < close_s - 60)
    is_slow = set(slow)
    news = draws.child(3)
    tells = [news.chance(700 if t in is_slow else 25) for t in ticks]
    winner = draw_outcome(draws.child(4), contest.prior)
    path = beliefs(draws.child(5), contest.prior, winner, tells, 220)
    ladders = [
        Ladder(draws.child(6, i), levels=4, depth=(25, 250)) for i in range(len(contest.names))
    ]
    flow = draws.child(7)
    lean = [0] * len(contest.names)
    for number, second in enumerate(ticks):
        now = next((d for d in moments if d.begin_s <= second < d.end_s), None)
        if now is None and flow.chance(100):
            lean[flow.one(0, len(lean))] = flow.one(-1, 2)
        quotes = [cents(p, 1, error) for p, error in zip(path[number], lean, strict=True)]
        quotes = _efficient(quotes) if now is None else _shifted(quotes, now)
        for ladder, (bid, ask) in zip(ladders, quotes, strict=True):
            ladder.quote(ns(second), bid, ask, _thin(flow) if now else None)
        following = path[min(number + 1, len(path) - 1)]
        if second in traded:
            _trade(ladders, second, path[number], following, flow)
    _write(writer, contest, ladders, winner)


def _dislocations(contest: Contest, draws: Draws) -> list[Dislocation]:
    """Return moments on different days, away from the ends of the event."""
    span = contest.last_day - contest.first_day - 4
    offset = "ABCDEF".index(contest.key)
    out = []
    for k in range(contest.dislocations):
        day = contest.first_day + 2 + span * k // contest.dislocations
        begin = day * DAY_S + draws.one(3600, DAY_S - 3600)
        length = 5 * draws.one(8, 32)
        shape = "YES" if (k + offset) % 3 == 2 else "NO"
        size = _SIZES[(k + offset) % len(_SIZES)]
        out.append(Dislocation(begin, begin + length, size, shape))
    return out


def _efficient(quotes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Shift quotes until neither the bids sum to a dollar or more nor the asks to a dollar or less."""
    order = sorted(range(len(quotes)), key=lambda i: -quotes[i][0])
    for step in range(200):
        bids, asks = sum(b for b, _ in quotes), sum(a for _, a in quotes)
        move = -1 if bids > 99 else 1 if asks < 101 else 0
        if not move:
            break
        i = order[step % len(order)]
        bid, ask = quotes[i]
        if bid + move >= 1 and ask + move <= 99:
            quotes[i] = (bid + move, ask + move)
    return quotes


def _shifted(quotes: list[tuple[int, int]], now: Dislocation) -> list[tuple[int, int]]:
    """Move the three dearest legs, cent by cent, until the basket of this shape is off by `now.cents`."""
    order = sorted(range(len(quotes)), key=lambda i: -quotes[i][0])[:3]
    step = 0
    while step < 60:
        bids, asks = sum(b for b, _ in quotes), sum(a for _, a in quotes)
        done = bids >= 100 + now.cents if now.shape == "NO" else asks <= 100 - now.cents
        if done:
            break
        i = order[step % len(order)]
        bid, ask = quotes[i]
        move = 1 if now.shape == "NO" else -1
        if bid + move >= 1 and ask + move <= 99:
            quotes[i] = (bid + move, ask + move)
        step += 1
    return quotes


def _thin(draws: Draws) -> tuple[int, int]:
    return draws.one(20, 121), draws.one(20, 121)


def _trade(
    ladders: list[Ladder],
    second: int,
    path: tuple[float, ...],
    following: tuple[float, ...],
    draws: Draws,
) -> None:
    """Let a taker trade one leg now and then; four in ten know where the price goes next."""
    if not draws.chance(350):
        return
    leg = draws.one(0, len(ladders))
    buys = draws.chance(500)
    if draws.chance(400) and following[leg] != path[leg]:
        buys = following[leg] > path[leg]
    ladders[leg].trade(ns(second + 2), buys, draws.one(5, 60), keep=2)


def _write(writer: CatalogWriter, contest: Contest, ladders: list[Ladder], winner: int) -> None:
    event_id, group = f"SAMPLE-EVENT-{contest.key}", f"SAMPLE-NEGRISK-{contest.key}"
    ids = []
    for i, (name, ladder) in enumerate(zip(contest.names, ladders, strict=True)):
        condition = f"SAMPLE-{contest.key}{i + 1}"
        ids.append(condition)
        market = Market(
            venue="POLYMARKET",
            market_id=condition,
            question=f"{contest.title} {name}",
            outcomes=(
                Outcome(f"{condition}-YES.POLYMARKET", "Yes", f"{condition}-1"),
                Outcome(f"{condition}-NO.POLYMARKET", "No", f"{condition}-2"),
            ),
            grid=grid_from_tick("0.01"),
            fees=FEES,
            event_id=event_id,
            neg_risk_id=group,
            category="politics",
            min_size=Decimal(1),
            open_ns=ns(contest.first_day * DAY_S),
            close_ns=ns(contest.last_day * DAY_S - _CLOSE_BEFORE_S),
            synthetic=True,
            info={"group_item": name},
        )
        publish(writer, market, ladder, i == winner, 7200)
    writer.events(
        [
            Event(
                "POLYMARKET",
                event_id,
                contest.title,
                tuple(ids),
                neg_risk_id=group,
                complete=True,
                category="politics",
                synthetic=True,
            )
        ]
    )
