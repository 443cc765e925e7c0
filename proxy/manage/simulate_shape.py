"""A cluster on paper: made of flags or of a backup, grown, resharded, robbed of nodes. Pure.

Strategy: an immutable shape, and the ``View`` that its nodes would give if all were asked and
all were well: so every plan and verdict that is made for real clusters is made for this
one by the same code.

Cost: a view of 1000 nodes 10 ms (CPython 3.11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from proxy.cluster.addresses import Address
from proxy.cluster.map import Node, Topology
from proxy.cluster.slots import SLOT_COUNT, share_slots
from proxy.manage.backup import Backup
from proxy.manage.errors import CannotPlan
from proxy.manage.move_plan import Move
from proxy.manage.report import Line, Report
from proxy.manage.view import View

FIRST_PORT = 7000
_BUS_OFFSET = 10000
_FOLLOWS = {"master_link_status": "up"}


@dataclass(frozen=True)
class Shape:
    """Nodes, and the slots of each by its id."""

    nodes: tuple[Node, ...]
    slots: Mapping[str, tuple[int, ...]]

    @cached_property
    def topology(self) -> Topology:
        """The map."""
        owners: list[int | None] = [None] * SLOT_COUNT
        for index, node in enumerate(self.nodes):
            for slot in self.slots.get(node.id, ()):
                owners[slot] = index
        return Topology(nodes=self.nodes, owners=tuple(owners))

    @cached_property
    def view(self) -> View:
        """What the nodes would say; failed ones say nothing."""
        reports = (_report(node, self.topology) for node in self.nodes if not node.failed)
        return _PaperView(tuple(reports), shape=self)

    def after(self, moves: Iterable[Move]) -> Shape:
        """Return the shape when slots have moved."""
        owned = {node_id: set(slots) for node_id, slots in self.slots.items()}
        for move in moves:
            owned[move.source] -= set(move.slots)
            owned.setdefault(move.target, set()).update(move.slots)
        return replace(self, slots={node: tuple(sorted(slots)) for node, slots in owned.items()})

    def grown(self, count: int) -> Shape:
        """Return the shape with so many nodes, or a few less if the last shard would not be whole.

        New shards have as many replicas as the present ones; each new node is on a host of
        its own and has no slots yet.

        Raises:
            CannotPlan: It has as many already, or would have more primaries than slots.
        """
        primaries = [node for node in self.nodes if node.is_primary]
        replicas = (len(self.nodes) - len(primaries)) // len(primaries)
        shards = (count - len(self.nodes)) // (replicas + 1)
        if shards < 1:
            raise CannotPlan(
                [f"{len(self.nodes)} nodes do not grow to {count}: a shard takes {replicas + 1}"]
            )
        if len(primaries) + shards > SLOT_COUNT:
            raise CannotPlan([f"there are {SLOT_COUNT} slots, and so many primaries at most"])
        added: list[Node] = []
        for shard in range(shards):
            number = shard * (replicas + 1) + 1
            primary = _node(f"new-{number}", Address(f"new-{number}", FIRST_PORT))
            added.append(primary)
            added += [
                _node(f"new-{number + k}", Address(f"new-{number + k}", FIRST_PORT), primary.id)
                for k in range(1, replicas + 1)
            ]
        return replace(self, nodes=(*self.nodes, *added))

    def without(self, lost: set[str], *, may_vote: bool) -> Shape:
        """Return the shape when nodes are gone and what can take over has.

        Args:
            lost: Their ids.
            may_vote: A majority of the primaries is left; else nobody is promoted.
        """
        slots = dict(self.slots)
        left = [node for node in self.nodes if node.id not in lost]
        heirs: dict[str, str] = {}
        for node in left:
            if node.primary_id in lost and may_vote and not node.failed:
                heirs.setdefault(node.primary_id or "", node.id)
        for gone, heir in heirs.items():
            slots[heir] = slots.pop(gone, ())
        nodes = []
        for node in self.nodes:
            primary = heirs.get(node.primary_id or "", node.primary_id)
            if node.id not in lost:
                is_heir = primary == node.id
                nodes.append(
                    replace(
                        node,
                        is_primary=is_heir or node.is_primary,
                        primary_id=None if is_heir else primary,
                    )
                )
            elif node.id not in heirs and slots.get(node.id):
                nodes.append(replace(node, failed=True))
        return Shape(tuple(nodes), slots)


def shape_of_flags(shards: int, replicas: int, hosts: int = 0) -> Shape:
    """Return an even cluster.

    Args:
        shards: 1 to ``SLOT_COUNT``.
        replicas: Of each shard.
        hosts: The nodes are on so many in turn, copies of a shard on different ones if
            possible; 0: each on one of its own.
    """
    count = hosts or shards * (replicas + 1)
    taken = [0] * count

    def place(number: int) -> Address:
        taken[number % count] += 1
        return Address(f"host-{number % count + 1}", FIRST_PORT + taken[number % count] - 1)

    nodes = [_node(f"node-{number + 1}", place(number)) for number in range(shards)]
    for copy in range(1, replicas + 1):
        for number in range(shards):
            host = number + copy if hosts else shards * copy + number
            node_id = f"node-{shards * copy + number + 1}"
            nodes.append(_node(node_id, place(host), f"node-{number + 1}"))
    slots = {
        f"node-{number + 1}": tuple(range(first, last + 1))
        for number, (first, last) in enumerate(share_slots(shards))
    }
    return Shape(tuple(nodes), slots)


def shape_of_backup(backup: Backup) -> Shape:
    """Return the shape of a cluster that was backed up; all of its nodes count as well."""
    nodes = tuple(_node(node.id, node.address, node.copies) for node in backup.nodes)
    return Shape(nodes, {node.id: node.slots for node in backup.nodes})


@dataclass(frozen=True)
class _PaperView(View):
    """The view of a shape: nothing has to be put together of what nodes say."""

    shape: Shape = field(kw_only=True)

    @cached_property
    def topology(self) -> Topology:
        return self.shape.topology

    def slots_of(self, node_id: str) -> tuple[int, ...]:
        return self.shape.slots.get(node_id, ())


def _node(node_id: str, address: Address, primary: str | None = None) -> Node:
    return Node(
        id=node_id,
        address=address,
        is_primary=primary is None,
        primary_id=primary,
        config_epoch=0,
        failed=False,
        link_up=True,
    )


def _report(node: Node, topology: Topology) -> Report:
    line = Line(
        id=node.id,
        host=node.address.host,
        port=node.address.port,
        bus_port=node.address.port + _BUS_OFFSET,
        hostname="",
        flags=frozenset({"myself", "master" if node.is_primary else "slave"}),
        primary_id=node.primary_id,
        config_epoch=node.config_epoch,
        is_linked=True,
    )
    return Report(node.address, topology, (line,), {}, {} if node.is_primary else _FOLLOWS)
