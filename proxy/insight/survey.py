"""Ask the nodes what the map does not say: replication, zones, slots on the move.

Strategy: one task, which asks only while somebody looks. Each node is asked over a
connection of its own, as the map's watcher does, so no client waits behind these questions,
and a hung node costs nothing but the time it is given. What a node said holds until the
next round, in which silence makes it unknown.

Cost: three small commands to each node every ``PACE_S`` seconds, less often in large
clusters; nothing while nobody looks (``interest.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import trio

from proxy.cluster.addresses import Address, AddressMap
from proxy.cluster.topology import Node, Topology, parse_cluster_nodes
from proxy.control.info import info_fields
from proxy.control.watch import Watcher
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.insight.interest import Interest

PACE_S = 2.0  # chosen: a migration is seen within seconds
PACE_PER_NODE_S = 0.05  # CLUSTER NODES grows with the cluster, and so does the number of askers
ASKED_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one node says of itself."""

    is_primary: bool
    offset: int | None
    """Of the replication stream."""
    zone: str | None
    replicas: Mapping[Address, tuple[int, int]]
    """Of a primary: by address, the offset it has acknowledged, and seconds since it did."""
    migrating: Mapping[int, str]
    """Slots it is giving away, with the id of the node that gets them."""


NOTHING: Mapping[str, Facts] = {}


class Survey:
    """What the nodes say of themselves, while somebody wants to know.

    Args:
        watcher: Has the map, and the rights and the patience with which nodes are asked.
        on_migrating: Called after a round with all slots that are on the move: slot to the
            ids of source and target; and with the ids of the primaries that have answered.

    Attributes:
        facts: By node id, from the latest round.
    """

    def __init__(
        self,
        *,
        watcher: Watcher,
        address_map: AddressMap,
        on_migrating: Callable[[Mapping[int, tuple[str, str]], frozenset[str]], None],
    ) -> None:
        self.facts: Mapping[str, Facts] = NOTHING
        self._watcher = watcher
        self._address_map = address_map
        self._on_migrating = on_migrating
        self._interest = Interest()

    def want(self) -> None:
        """Ask the nodes for a while: somebody looks."""
        self._interest.note()

    async def run(self) -> None:
        """Ask while it is wanted, for ever."""
        while True:
            if self._interest.is_over:
                self.facts = NOTHING
                await self._interest.wait()
            topology = self._watcher.topology
            if topology is not None:
                await self._ask_all(topology)
            nodes = len(topology.nodes) if topology else 0
            await trio.sleep(max(PACE_S, PACE_PER_NODE_S * nodes))

    async def _ask_all(self, topology: Topology) -> None:
        found: dict[str, Facts] = {}
        turns = trio.CapacityLimiter(ASKED_AT_ONCE)

        async def ask(node: Node) -> None:
            async with turns:
                facts = await self._ask(node, is_primary=node in topology.primaries)
            if facts is not None:
                found[node.id] = facts

        async with trio.open_nursery() as nursery:
            for node in topology.nodes:
                if not node.failed:
                    nursery.start_soon(ask, node)
        self.facts = found
        moving = {
            slot: (source, target)
            for source, facts in found.items()
            for slot, target in facts.migrating.items()
        }
        if any(_contradicts(node, found.get(node.id)) for node in topology.nodes):
            self._watcher.suspect()
        primaries = frozenset(node.id for node in topology.primaries if node.id in found)
        self._on_migrating(moving, primaries)

    async def _ask(self, node: Node, *, is_primary: bool) -> Facts | None:
        """Return what a node says; None if it says nothing in time, or may not."""
        commands: list[tuple[bytes | str | int, ...]] = [
            ("INFO", "server"),
            ("INFO", "replication"),
        ]
        if is_primary:
            commands.append(("CLUSTER", "NODES"))
        try:
            answers = await self._watcher.ask(node.address, commands)
        except (BackendUnavailable, BackendProtocolError):
            return None  # the map and the pools tell what is wrong with a node
        return self._read(node, answers)

    def _read(self, node: Node, answers: Sequence[object]) -> Facts | None:
        server, replication, *nodes = (
            answer if isinstance(answer, bytes) else b"" for answer in answers
        )
        fields = info_fields(replication)
        if not fields:
            return None  # it may not be asked
        is_replica = fields.get(b"role") == b"slave"
        migrating: Mapping[int, str] = {}
        if nodes and nodes[0]:
            try:
                migrating = parse_cluster_nodes(nodes[0], node.address).migrating
            except BackendProtocolError:
                return None
        zone = info_fields(server).get(b"availability_zone", b"").decode("utf-8", "replace")
        return Facts(
            is_primary=not is_replica,
            offset=_number(
                fields.get(b"slave_repl_offset" if is_replica else b"master_repl_offset")
            ),
            zone=zone or None,
            replicas=self._replicas(fields),
            migrating=migrating,
        )

    def _replicas(self, fields: Mapping[bytes, bytes]) -> dict[Address, tuple[int, int]]:
        """Read the lines ``slave0:ip=127.0.0.1,port=7003,state=online,offset=14,lag=1``."""
        found: dict[Address, tuple[int, int]] = {}
        for name, value in fields.items():
            if not name.startswith(b"slave") or not name[5:].isdigit():
                continue
            row = dict(pair.partition(b"=")[::2] for pair in value.split(b","))
            port, offset, lag = (_number(row.get(word)) for word in (b"port", b"offset", b"lag"))
            if port is not None and offset is not None and lag is not None:
                announced = Address(row.get(b"ip", b"").decode("utf-8", "replace"), port)
                found[self._address_map.reachable(announced)] = (offset, lag)
        return found


def _contradicts(node: Node, facts: Facts | None) -> bool:
    """Return whether a node is not what the map says: it is silent, or has another role."""
    return not node.failed and (facts is None or facts.is_primary != node.is_primary)


def _number(word: bytes | None) -> int | None:
    try:
        return int(word or b"")
    except ValueError:
        return None
