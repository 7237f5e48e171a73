"""Order groups as the venue-side kill switch: one a shard, every order of ours in it.

A group closes by itself when more contracts match in 15 seconds than its limit says (a strategy that has lost its
mind), and at once when it is triggered. Closed means: its orders are off the book and new ones are refused, also
when they come from a node that has not heard of the halt yet.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.kalshi.rest import KalshiRest
from core.domain.errors import VenueRefused, VenueUncertain

VenueTrouble = (VenueRefused, VenueUncertain)


class KillSwitch:
    """The groups of one run.

    Parameters
    ----------
    contracts : int
        Contracts matched in 15 seconds above which a group closes; 0 = no groups.

    Attributes
    ----------
    errors : list of str
        What could not be done; without a group a halt cancels order by order.
    """

    def __init__(self, rest: KalshiRest, contracts: int) -> None:
        self._rest, self.contracts = rest, contracts
        self._groups: dict[int, str] = {}
        self.errors: list[str] = []

    def of(self, shard: int) -> str | None:
        """Return the group that an order on `shard` belongs to."""
        return self._groups.get(shard)

    async def arm(self, shards: Iterable[int]) -> None:
        """Create the missing groups; a venue that gives none is noted, not fatal."""
        for shard in sorted(set(shards) - set(self._groups)) if self.contracts else ():
            try:
                self._groups[shard] = await self._rest.create_group(self.contracts, shard)
            except VenueTrouble as exc:
                self._note(f"no order group on shard {shard}: {exc.what}")

    async def engage(self) -> None:
        """Trigger every group; what fails is noted, the caller cancels order by order as well."""
        for shard, group in self._groups.items():
            try:
                await self._rest.trigger_group(group, shard)
            except VenueTrouble as exc:
                self._note(f"order group of shard {shard} not triggered: {exc.what}")

    async def release(self) -> None:
        """Reset every group.

        Raises
        ------
        VenueRefused, VenueUncertain
            If one could not be reset: orders would be refused without a visible reason.
        """
        for shard, group in self._groups.items():
            await self._rest.reset_group(group, shard)

    async def disarm(self) -> None:
        """Delete the groups that hold no order; deleting one would cancel what is meant to stay."""
        for shard, group in list(self._groups.items()):
            try:
                if not (await self._rest.group(group, shard)).orders:
                    await self._rest.delete_group(group, shard)
                    del self._groups[shard]
            except VenueTrouble as exc:
                self._note(f"order group of shard {shard} not deleted: {exc.what}")

    def _note(self, text: str) -> None:
        self.errors.append(text)
        del self.errors[:-100]
