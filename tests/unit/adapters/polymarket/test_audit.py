"""Polymarket's books are compared with the venue's answer without taking news on its way for a lie."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.answers import Answers
from adapters.polymarket import audit as audits
from adapters.polymarket.audit import BookAudit
from adapters.polymarket.books import BookState, PolyBook
from adapters.polymarket.schemas import BookMsg, Change, Level
from adapters.strikes import FORGET_LOOKS
from core.domain.errors import CorruptData, VenueUncertain


def snapshot(bid: str, at: int = 1_000) -> BookMsg:
    return BookMsg(
        asset_id="1",
        market="m",
        timestamp=str(at),
        bids=(Level("0.40", bid),),
        asks=(Level("0.42", "9"),),
    )


SAID, OTHER = snapshot("20"), snapshot("15")


class Desk:
    """A data client's part in the comparing; answers one after the other, the last one for ever."""

    def __init__(self, *answers: Any, meanwhile: Callable[[PolyBook], None] | None = None) -> None:
        self._left, self._meanwhile = list(answers), meanwhile
        self.book = PolyBook("1")
        self.books = {"1": self.book}
        self.rest = SimpleNamespace(answers=Answers(), book=self._answer)
        self.registry = SimpleNamespace(by_token={"1": ("m", None)})
        self.barred: list[tuple[str, str]] = []
        self.doubted, self.settled = 0, False
        self._tasks: list[asyncio.Task[None]] = []
        self.audit = BookAudit(self)  # type: ignore[arg-type]

    async def _answer(self, token: str) -> BookMsg:
        answer = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def token_settled(self, token: str) -> bool:
        return self.settled

    def instrument_of(self, token: str) -> str:
        return "m-1.POLYMARKET"

    def stamp(self, timestamp: Any) -> int:
        return int(timestamp)

    def take_book(self, book: PolyBook, msg: BookMsg) -> None:
        book.load(msg)

    def distrust(self, book: PolyBook, reason: str) -> None:
        book.doubt(reason)
        self.doubted += 1

    def on_barred(self, market: str, why: str) -> None:
        self.barred.append((market, why))

    def create_task(self, work: Any, name: str) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    def look(self, times: int = 1) -> int:
        """Compare a book that is as `SAID` each time; return how often the venue was asked."""

        async def run() -> int:
            asked = 0
            for _ in range(times):
                self.book.load(SAID)
                asked += await self.audit.audit("1")
                if self._tasks and self._meanwhile is not None:
                    self._meanwhile(self.book)
                for task in self._tasks:
                    await task
                self._tasks.clear()
            return asked

        return asyncio.run(run())

    @property
    def told(self) -> list[str]:
        return list(self.rest.answers.stats.errors)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "NEWS_S", 0.0)


def change(at: int, price: str = "0.40") -> Callable[[PolyBook], None]:
    told = Change(asset_id="1", price=price, size="15", side="BUY")
    return lambda book: book.apply([told], at) and None


def test_an_equal_book_is_left_alone() -> None:
    desk = Desk(SAID)
    assert desk.look() == 1
    assert not desk.told and not desk.barred and desk.book.touched is None


def test_a_level_that_nobody_told_of_is_read_again_and_the_second_time_bars_the_market() -> None:
    desk = Desk(OTHER)
    desk.look()
    assert "bid 0.4: 20 here, 15 there; read again" in desk.told[-1]
    assert desk.book.touched is None and desk.barred == []
    assert list(desk.book.bids.values()) == [15]
    desk.look()
    ((market, why),) = desk.barred
    assert market == "m" and why.endswith("again")
    assert desk.told[-1].endswith("barred") and desk.rest.answers.stats.mended == 2


@pytest.mark.parametrize("at", [999, 1_000, 1_001], ids=["older", "same", "newer"])
def test_a_change_that_was_on_its_way_is_no_strike_whatever_its_time(at: int) -> None:
    desk = Desk(OTHER, meanwhile=change(at))
    desk.look(3)
    assert desk.rest.answers.stats.mended == 3 and desk.barred == []
    assert all(line.endswith("read again") for line in desk.told)


def test_news_of_another_level_does_not_excuse_one() -> None:
    desk = Desk(OTHER, meanwhile=change(1_001, "0.39"))
    desk.look(2)
    assert len(desk.barred) == 1


def test_a_snapshot_or_a_doubt_in_the_meantime_concludes_nothing() -> None:
    for meanwhile in (lambda b: b.load(snapshot("15", 1_002)), lambda b: b.doubt("gap")):
        desk = Desk(OTHER, meanwhile=meanwhile)
        desk.look(3)
        assert desk.barred == []


def test_an_older_answer_no_answer_and_nonsense_conclude_nothing() -> None:
    desk = Desk(snapshot("15", 900))
    assert desk.look(3) == 3 and not desk.told
    desk = Desk(VenueUncertain("no answer", ""))
    assert desk.look(3) == 3 and not desk.told
    for answer in (CorruptData("x", "y"), snapshot("-3")):
        desk = Desk(answer)
        desk.look(3)
        assert desk.doubted == 3 and desk.barred == []
        assert desk.rest.answers.stats.bad_frames == 3


def test_a_doubted_book_and_one_of_a_paid_market_are_not_asked_for() -> None:
    desk = Desk(OTHER)
    desk.settled = True
    assert desk.look() == 0
    desk.settled = False
    desk.book.load(SAID)
    desk.book.doubt("gap")
    assert asyncio.run(desk.audit.audit("1")) is False
    assert desk.book.state is BookState.SUSPECT


def test_a_first_difference_is_forgotten_after_many_equal_looks() -> None:
    desk = Desk(OTHER, *[SAID] * FORGET_LOOKS, OTHER)
    desk.look(FORGET_LOOKS + 2)
    assert desk.rest.answers.stats.mended == 2 and desk.barred == []
    desk.look()
    assert len(desk.barred) == 1


def test_a_book_that_is_gone_before_its_turn_is_passed_over() -> None:
    desk = Desk(SAID)
    desk.books.clear()
    assert desk.look() == 0 and not desk.told
