"""Make the embedded sample catalog: deterministic content, labelled synthetic everywhere."""

from __future__ import annotations

from pathlib import Path

from adapters.sample.draws import Draws
from adapters.sample.elections import CONTESTS, write_contest
from adapters.sample.questions import QUESTIONS, write_question
from adapters.sample.schedule import START_NS
from adapters.sample.spot import COINS, walk, write_bars
from adapters.sample.windows import write_windows
from core.engine.catalog import CatalogWriter

SEED = 20_260_701
NOTE = (
    "SYNTHETIC: a generated world with fair prices, noise and a few staged dislocations. It shows "
    "that the machinery works; profits on it say nothing about markets."
)


def build_sample(path: Path, *, replace: bool = False, seed: int = SEED) -> None:
    """Write the sample catalog to `path`; the same seed gives the same bytes.

    Parameters
    ----------
    replace : bool
        Overwrite a catalog that is there.
    """
    draws = Draws(seed)
    with CatalogWriter(
        path,
        name="sample",
        synthetic=True,
        source=f"generated, seed {seed}",
        licence="public domain",
        mode="replace" if replace else "create",
        created_ns=START_NS,
    ) as writer:
        writer.note(NOTE)
        for number, contest in enumerate(CONTESTS):
            write_contest(writer, contest, draws.child(1, number))
        for number, question in enumerate(QUESTIONS):
            write_question(writer, question, draws.child(2, number))
        for number, coin in enumerate(COINS):
            path_of_coin = walk(coin, draws.child(3, number))
            writer.pairs([coin.pair])
            write_bars(writer, coin, path_of_coin, draws.child(4, number))
            if number == 0:
                write_windows(writer, coin, path_of_coin, draws.child(5, number))
