"""When a replica took the place of its primary: what was acknowledged before may be gone.

Strategy: a node that was a replica in one map and is a primary with slots in a later one has
taken over, whatever the maps between them said. It is not asked whether anything was lost:
nobody knows.

Cost: a pass over the nodes of every map that is read.
"""

from __future__ import annotations

import math
import time

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Topology


class Successions:
    """Remembers the last time, and whose place was taken."""

    def __init__(self) -> None:
        self._last_s = -math.inf
        self._gone: Address | None = None
        self._primary_of: dict[str, Address] = {}

    def map_read(self, topology: Topology) -> None:
        """Look who is a primary now and was not when the last map was read."""
        for node in topology.primaries:
            if node.id in self._primary_of:
                self._last_s = time.monotonic()
                self._gone = self._primary_of[node.id]
        places = {node.id: node.address for node in topology.nodes}
        self._primary_of = {
            node.id: places[node.primary_id]
            for node in topology.nodes
            if node.primary_id is not None and node.primary_id in places
        }

    @property
    def last(self) -> tuple[float, Address] | None:
        """When it was last, by ``time.monotonic``, and whose place was taken; None: never."""
        return None if self._gone is None else (self._last_s, self._gone)

    def remember(self, monotonic_s: float, gone: Address) -> None:
        """Take over what another process knows."""
        if monotonic_s > self._last_s:
            self._last_s, self._gone = monotonic_s, gone

    def since(self, monotonic_s: float) -> Address | None:
        """Return whose place was taken after this time, last of all; None: nobody's."""
        return self._gone if self._last_s > monotonic_s else None
