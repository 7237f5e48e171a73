"""Orders that are over leave memory when nothing reads so far back; late news of them is known by what is on disk.

=======================  =====================================================================================
an order is let go       when it has ended, every trade of it is CONFIRMED or FAILED, and `KEEP_NS` have passed
told of again            found on disk with our id; its trade ids are those of the first time, so gate and ledger know them
=======================  =====================================================================================
"""

from __future__ import annotations

from adapters.polymarket.executions import Executions
from adapters.polymarket.order_ids import KEEP_NS, OrderIds


class Retention:
    """When what is over goes."""

    def __init__(self, ids: OrderIds, executions: Executions, began_ns: int) -> None:
        self._ids, self._executions, self._began_ns = ids, executions, began_ns
        self._since: dict[str, int] = {}

    def over(self, order_id: str, now_ns: int) -> None:
        """Note that an order has ended, or was told of after it had been let go."""
        self._since.setdefault(order_id, now_ns)

    def heard(self, order_id: str, now_ns: int) -> None:
        """Note news of a trade: of an order that was let go, or is not ours, it is forgotten again.

        An order of an earlier process that is not in memory may still work: it waits for its end.
        """
        if self._ids.kept(order_id):
            return
        sent = self._ids.order(order_id)
        if sent is None or sent.sent_ns >= self._began_ns:
            self.over(order_id, now_ns)

    def step(self, now_ns: int) -> list[str]:
        """Let go what is due; return it. An order with a trade that can still change waits on."""
        due = []
        for order_id, since in self._since.items():
            if now_ns - since < KEEP_NS:
                break
            due.append(order_id)
        out = []
        for order_id in due:
            del self._since[order_id]
            if self._executions.settled(order_id):
                out.append(order_id)
            else:
                self._since[order_id] = now_ns
        if out:
            self._executions.forget(set(out))
            self._ids.forget(out)
        return out
