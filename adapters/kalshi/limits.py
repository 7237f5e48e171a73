"""What Kalshi's calls cost and how fast they may leave: as the account says, else the smallest tier's numbers."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.kalshi import schemas
from adapters.token_bucket import TokenBucket

ORDERS = "/portfolio/events/orders"
ORDER = ORDERS + "/{order_id}"
BATCH = ORDERS + "/batched"
READ_ORDER = "/portfolio/orders/{order_id}"
DEFAULT_COST = 10.0
#: Documented exceptions (November 2026); a batch costs this much for each of its orders.
EXCEPTIONS = {
    ("DELETE", ORDER): 2.0,
    ("DELETE", BATCH): 2.0,
    ("POST", BATCH): 10.0,
    ("GET", READ_ORDER): 2.0,
}


class Costs:
    """Tokens of each call.

    Attributes
    ----------
    table : dict of (method, path template) to float
        Calls that do not cost `default`.
    """

    def __init__(self) -> None:
        self.default = DEFAULT_COST
        self.table = dict(EXCEPTIONS)

    def of(self, method: str, template: str) -> float:
        """Return the tokens of one call (of one order, for a batch)."""
        return self.table.get((method, template), self.default)

    def take_over(self, told: schemas.EndpointCosts) -> None:
        """Take the venue's own numbers; a cost that is not positive is ignored."""
        if told.default_cost > 0:
            self.default = told.default_cost
        for row in told.endpoint_costs:
            if row.cost > 0:
                self.table[(row.method.upper(), row.path.removeprefix("/trade-api/v2"))] = row.cost


def resize(bucket: TokenBucket, told: schemas.BucketSize) -> None:
    """Fit a bucket to the account's tier; nonsense leaves it as it is."""
    if told.refill_rate > 0 and told.bucket_capacity > 0:
        bucket.resize(told.refill_rate, told.bucket_capacity)


def chunks[T](items: Iterable[T], cost: float, capacity: float) -> list[list[T]]:
    """Return batches that fit the bucket whole: the venue refuses a larger one whole."""
    size = max(int(capacity // cost), 1)
    rows = list(items)
    return [rows[start : start + size] for start in range(0, len(rows), size)]
