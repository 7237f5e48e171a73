"""Markets as they were known at the start of a run: a catalog also knows how they ended."""

from __future__ import annotations

import re
from dataclasses import replace

from core.domain.market import Market, MarketStatus

#: Keys of `Market.info` that tell the end of a market.
_TELLS_THE_END = re.compile(
    r"result|settle|resol|payout|winner|expiration_value|final|outcome_price|label", re.IGNORECASE
)


def at_start(market: Market) -> Market:
    """Return `market` without its payouts, open for trading, and without hints in `info`.

    Strategies and gate learn payouts and trading states from the data, at their time.
    """
    return replace(
        market,
        outcomes=tuple(replace(o, payout=None) for o in market.outcomes),
        status=MarketStatus.ACTIVE,
        info={k: v for k, v in market.info.items() if not _TELLS_THE_END.search(k)},
    )
