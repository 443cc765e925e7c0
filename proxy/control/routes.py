"""Which number the data plane knows each node by, and the slot map in those numbers.

Strategy: the data plane counts nodes; the map names them by address. A number
belongs to an address as long as the node is in the map or a pipeline leads to
it, and is given out again afterwards, so years of changing pods need no more
numbers than there are nodes at a time.
"""

from __future__ import annotations

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Topology
from proxy.dataplane.tables import SlotMap

MAX_NODES = 65_000  # a node's number is 16 bits wide in the slot map, and one is "nobody"


class Routes:
    """The numbers of the nodes, and the slot map made of them."""

    def __init__(self) -> None:
        self._addresses: list[Address | None] = []
        self._numbers: dict[Address, int] = {}

    def number(self, address: Address) -> int:
        """Return the node's number; it gets one if it has none."""
        found = self._numbers.get(address)
        if found is not None:
            return found
        if None in self._addresses:
            found = self._addresses.index(None)
            self._addresses[found] = address
        else:
            found = len(self._addresses)
            self._addresses.append(address)
        self._numbers[address] = found
        return found

    def address(self, number: int) -> Address | None:
        """Return the address of a node's number; None if it belongs to nobody."""
        return self._addresses[number] if 0 <= number < len(self._addresses) else None

    def knows(self, address: Address) -> bool:
        """Return whether this address has a number."""
        return address in self._numbers

    def numbers(self) -> list[int]:
        """Return the numbers in use."""
        return sorted(self._numbers.values())

    def forget(self, number: int) -> None:
        """Free a number; nothing may lead to that node any more."""
        address = self._addresses[number]
        if address is not None:
            del self._numbers[address]
            self._addresses[number] = None

    def slot_map(self, topology: Topology, generation: int) -> SlotMap:
        """Return the data plane's form of a map: a node's number for each slot.

        Args:
            generation: Higher than that of the map it replaces.
        """
        numbers = {
            index: self.number(topology.nodes[index].address)
            for index in set(topology.owners)
            if index is not None
        }
        return SlotMap(
            [None if owner is None else numbers[owner] for owner in topology.owners], generation
        )
