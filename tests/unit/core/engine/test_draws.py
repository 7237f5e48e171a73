"""A strategy's random source draws what `random.Random` draws, and remembers what belongs to a decision."""

import random

from hypothesis import given
from hypothesis import strategies as st

from core.engine.draws import MOST, Draws, seeded_by


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


def drawn(source: random.Random) -> list[object]:
    deck = list(range(9))
    source.shuffle(deck)
    return [
        source.random(), source.choice("abc"), source.gauss(0, 1), source.randint(1, 10**6), deck,
        source.sample(range(50), 5), source.uniform(1, 2), source.randbytes(3),
    ]  # fmt: skip


@given(st.integers(0, 2**32), st.text(max_size=9))
def test_it_draws_what_the_plain_source_of_that_seed_draws(seed: int, stream: str) -> None:
    plain = random.Random(seeded_by(seed, stream))
    assert drawn(Draws.of(stream, seed, Clock())) == drawn(plain)


def test_only_draws_of_the_moment_of_a_decision_are_handed_over_once_with_their_number() -> None:
    clock = Clock()
    source, plain = Draws.of("S-001", 0, clock), random.Random("0:S-001")
    values = [repr(plain.random()) for _ in range(4)]
    source.random()
    clock.now = 5
    source.random(), source.random()
    assert source.taken(5) == [(1, values[1]), (2, values[2])]
    assert source.taken(5) == []
    source.random()
    assert source.taken(6) == [], "a moment later the draw belongs to no decision"


def test_of_a_simulation_the_newest_draws_are_kept() -> None:
    source = Draws.of("S", 1, Clock())
    for _ in range(1_000):
        source.random()
    kept = source.taken(0)
    assert [number for number, _ in kept] == list(range(1_000 - MOST, 1_000))


def test_on_a_node_a_moment_is_as_long_as_a_callback_may_take() -> None:
    clock = Clock()
    source = Draws.of("S", 1, clock, within_ns=50)
    source.random()
    clock.now = 30
    source.random()
    assert len(source.taken(40)) == 2
    assert source.taken(51) == [] and source.rows == []
