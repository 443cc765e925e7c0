"""What a cluster is: its state, its nodes, its slots, and where keys belong. Pure.

Strategy: each question of an operator is a function from the ``View`` to a small frozen value,
which is printed, written as JSON, or used by a program.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.cluster.addresses import Address
from proxy.cluster.map import Node
from proxy.cluster.slots import hash_tag, key_slot, slot_text
from proxy.manage.agreement import first_disagreement
from proxy.manage.report import Report
from proxy.manage.view import View


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """The state of the whole."""

    state: str
    """``ok`` if every primary that answers says so, else ``fail``."""
    slots_assigned: int
    slots_ok: int
    slots_pfail: int
    """Slots of a node that the best informed one suspects."""
    slots_fail: int
    """Slots of a node that has failed."""
    known_nodes: int
    answering_nodes: int
    shards: int
    current_epoch: int
    keys: int
    """Over all primaries and databases."""
    versions: tuple[str, ...]
    disagreement: str | None
    """What the nodes do not agree on, None if they do."""
    asked: Address


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node."""

    id: str
    address: Address
    hostname: str
    role: str
    """``primary`` or ``replica``."""
    primary: Address | None
    """Whom a replica copies."""
    state: str
    """``ok``, ``suspected``, ``failed``, or ``silent``: it did not answer us."""
    reason: str
    """Why it is silent; else empty."""
    slots: str
    """``0-99 200``; empty for a replica."""
    slot_count: int
    config_epoch: int
    keys: int | None
    """None if it is silent."""
    engine: str
    version: str


@dataclass(frozen=True, slots=True)
class SlotRange:
    """Slots in a row that have the same owner."""

    first: int
    last: int
    count: int
    primary: Address | None
    """None: nobody owns them."""
    replicas: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class OpenSlot:
    """A slot on its way, or left on its way."""

    slot: int
    state: str
    """``migrating`` or ``importing``."""
    node: Address
    """Who says so."""
    other: str
    """The other side: an address, or an id if nobody knows one."""


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Keys of one slot, which may be used together, and where they are."""

    slot: int
    tag: bytes
    """What was hashed of the first of them."""
    keys: tuple[bytes, ...]
    primary: Address | None
    """None: no node was asked, or nobody owns the slot."""
    replicas: tuple[Address, ...]


def cluster_info(view: View) -> ClusterInfo:
    """Return the state of the whole."""
    best, topology = view.best, view.topology
    slots = {node.id: len(view.slots_of(node.id)) for node in topology.primaries}
    failed = sum(slots[node.id] for node in topology.primaries if node.failed)
    suspected = sum(
        slots[node.id] for node in topology.primaries if not node.failed and not node.link_up
    )
    serving = [report.topology.is_serving for report in view.reports if report.is_primary]
    return ClusterInfo(
        state="ok" if serving and all(serving) else "fail",
        slots_assigned=topology.covered_slots,
        slots_ok=topology.covered_slots - failed - suspected,
        slots_pfail=suspected,
        slots_fail=failed,
        known_nodes=best.number("cluster_known_nodes"),
        answering_nodes=len(view.reports),
        shards=len(topology.primaries),
        current_epoch=max(report.number("cluster_current_epoch") for report in view.reports),
        keys=sum(report.keys for report in view.primaries),
        versions=versions(view.reports),
        disagreement=first_disagreement(view),
        asked=best.address,
    )


def versions(reports: Iterable[Report]) -> tuple[str, ...]:
    """Return the engines and versions among nodes: ``("valkey 9.1.2",)``."""
    return tuple(sorted({f"{report.engine} {report.version}" for report in reports}))


def node_states(view: View) -> tuple[NodeState, ...]:
    """Return every node that the best informed one knows: shard by shard, primary first."""
    topology = view.topology
    first_slot = {owner.id: first for first, _, owner in reversed(topology.ranges())}

    def place(node: Node) -> tuple[int, bool, Address]:
        shard = node.primary_id or node.id
        return first_slot.get(shard, 1 << 20), not node.is_primary, node.address

    return tuple(_node_state(view, node) for node in sorted(topology.nodes, key=place))


def slot_ranges(view: View) -> tuple[SlotRange, ...]:
    """Return all 16384 slots in ranges of one owner; also those that nobody owns."""
    found: list[SlotRange] = []
    owners = view.topology.owners
    start = 0
    for slot in range(1, len(owners) + 1):
        if slot < len(owners) and owners[slot] == owners[start]:
            continue
        owner = view.topology.owner(start)
        found.append(
            SlotRange(
                first=start,
                last=slot - 1,
                count=slot - start,
                primary=owner.address if owner else None,
                replicas=_replicas(view, owner),
            )
        )
        start = slot
    return tuple(found)


def open_slots(view: View) -> tuple[OpenSlot, ...]:
    """Return the slots that a node says are on their way, by slot."""
    found = [
        OpenSlot(slot, state, report.address, view.name(other))
        for report in view.reports
        for state, slots in (
            ("migrating", report.topology.migrating),
            ("importing", report.topology.importing),
        )
        for slot, other in slots.items()
    ]
    return tuple(sorted(found, key=lambda each: (each.slot, each.state)))


def key_places(keys: Iterable[bytes], view: View | None = None) -> tuple[KeyPlace, ...]:
    """Return the keys by slot, in the order in which the slots were met.

    Args:
        keys: Any bytes.
        view: The cluster; None: only the slots.
    """
    by_slot: dict[int, list[bytes]] = {}
    for key in keys:
        by_slot.setdefault(key_slot(key), []).append(key)
    places = []
    for slot, group in by_slot.items():
        owner = view.topology.owner(slot) if view is not None else None
        places.append(
            KeyPlace(
                slot=slot,
                tag=hash_tag(group[0]),
                keys=tuple(group),
                primary=owner.address if owner else None,
                replicas=_replicas(view, owner) if view is not None else (),
            )
        )
    return tuple(places)


def _replicas(view: View, owner: Node | None) -> tuple[Address, ...]:
    if owner is None:
        return ()
    return tuple(sorted(node.address for node in view.topology.replicas_of(owner.id)))


def _node_state(view: View, node: Node) -> NodeState:
    report = view.by_id.get(node.id)
    line = view.best.line_of(node.id)
    primary = view.topology.node_by_id(node.primary_id) if node.primary_id else None
    slots = view.slots_of(node.id)
    if node.failed:
        state = "failed"
    elif report is None:
        state = "silent"
    else:
        state = "ok" if node.link_up else "suspected"
    reachable = view.address_map.reachable(node.address)
    return NodeState(
        id=node.id,
        address=node.address,
        hostname=line.hostname if line else "",
        role="primary" if node.is_primary else "replica",
        primary=primary.address if primary else None,
        state=state,
        reason=view.silent.get(reachable, "") if report is None else "",
        slots=slot_text(slots),
        slot_count=len(slots),
        config_epoch=node.config_epoch,
        keys=report.keys if report else None,
        engine=report.engine if report else "",
        version=report.version if report else "",
    )
