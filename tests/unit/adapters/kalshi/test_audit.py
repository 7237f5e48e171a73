"""Books are compared with the venue's answer without taking news on its way for a lie."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from adapters.answers import Answers
from adapters.kalshi import audit as audits
from adapters.kalshi.audit import BookAudit
from adapters.kalshi.books import BookState, KalshiBook
from adapters.kalshi.schemas import BookMsg, DeltaMsg, SnapshotMsg
from adapters.strikes import FORGET_LOOKS
from core.domain.errors import CorruptData, VenueUncertain

TRUE = SnapshotMsg(
    market_ticker="T", yes_dollars_fp=(("0.40", "20"),), no_dollars_fp=(("0.42", "9"),)
)
SAID = BookMsg(yes_dollars=(("0.40", "20"),), no_dollars=(("0.58", "9"),))
OTHER = BookMsg(yes_dollars=(("0.40", "15"),), no_dollars=(("0.58", "9"),))


class Desk:
    """Answers one after the other, the last one for ever; what happened."""

    def __init__(
        self, *answers: Any, meanwhile: Callable[[KalshiBook], None] | None = None
    ) -> None:
        self.answers, self._left, self._meanwhile = Answers(), list(answers), meanwhile
        self.book = KalshiBook("T")
        self.book.load(TRUE)
        self.doubted = 0
        self.barred: list[tuple[str, str]] = []
        self.audit = BookAudit(
            self, {"T": self.book}, self._doubt, lambda *t: self.barred.append(t)
        )  # type: ignore[arg-type]

    async def orderbook(self, ticker: str) -> BookMsg:
        answer = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        if self._meanwhile is not None:
            self._meanwhile(self.book)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _doubt(self, book: KalshiBook) -> None:
        self.doubted += 1
        book.load(TRUE)

    def look(self, times: int = 1) -> list[bool]:
        async def run() -> list[bool]:
            return [await self.audit.audit("T") for _ in range(times)]

        return asyncio.run(run())


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "NEWS_S", 0.0)


def delta(size: str) -> DeltaMsg:
    return DeltaMsg(market_ticker="T", price_dollars="0.40", delta_fp=size, side="yes")


def test_an_equal_book_is_left_alone() -> None:
    desk = Desk(SAID)
    assert desk.look() == [False]
    assert desk.audit.looks == 1 and desk.doubted == 0 and desk.book.touched is None


def test_a_level_that_lasts_is_read_again_and_the_second_time_bars_the_market() -> None:
    desk = Desk(OTHER)
    assert desk.look() == [True]
    assert (desk.doubted, desk.answers.stats.mended, desk.barred) == (1, 1, [])
    assert "bid 0.4: 20 here, 15 there; read again" in desk.answers.stats.errors[-1]
    assert desk.look() == [True]
    ((ticker, why),) = desk.barred
    assert ticker == "T" and why.endswith("again")
    assert desk.answers.stats.errors[-1].endswith("barred")


def test_a_difference_of_one_look_only_is_news_on_its_way() -> None:
    assert Desk(OTHER, SAID).look() == [False]
    assert Desk(OTHER, BookMsg(yes_dollars=(("0.40", "14"),), no_dollars=SAID.no_dollars)).look() == [False]  # fmt: skip


def test_a_level_that_moves_meanwhile_is_not_compared() -> None:
    assert Desk(OTHER, meanwhile=lambda book: book.apply(delta("1"))).look() == [False]


def test_a_book_that_is_read_anew_or_doubted_meanwhile_is_not_compared() -> None:
    def doubted(book: KalshiBook) -> None:
        book.state = BookState.SUSPECT

    assert Desk(OTHER, meanwhile=lambda book: book.load(TRUE)).look() == [False]
    assert Desk(OTHER, meanwhile=doubted).look() == [False]


def test_no_answer_and_nonsense_conclude_nothing() -> None:
    for answer in (
        VenueUncertain("no answer", ""),
        CorruptData("x", "y"),
        BookMsg(yes_dollars=(("2.00", "1"),), no_dollars=()),
    ):
        desk = Desk(answer)
        assert desk.look(3) == [False] * 3
        assert desk.doubted == 0
    assert desk.answers.stats.bad_frames == 3


def test_a_first_difference_is_forgotten_after_many_equal_looks() -> None:
    lie = [OTHER, OTHER]
    desk = Desk(*lie, *[SAID] * FORGET_LOOKS, *lie, SAID)
    assert desk.look(FORGET_LOOKS + 2) == [True, *[False] * FORGET_LOOKS, True]
    assert desk.barred == []
    assert Decimal(desk.doubted) == 2


def test_a_book_that_is_gone_before_its_turn_is_passed_over() -> None:
    desk = Desk(SAID)
    desk.audit._books.clear()  # type: ignore[attr-defined]
    assert desk.look() == [False] and desk.audit.looks == 0
