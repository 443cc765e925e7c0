"""How slots, keys and memory are spread over the shards. Pure.

Strategy: what each primary says of itself; shares are of what all primaries have together.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.cluster.addresses import Address
from proxy.cluster.slots import SLOT_COUNT, slot_text
from proxy.manage.view import View


@dataclass(frozen=True, slots=True)
class ShardShare:
    """What one shard has. Shares are from 0 to 1."""

    primary: Address
    id: str
    slots: int
    ranges: str
    slot_share: float
    """Of all 16384, covered or not."""
    keys: int | None
    """None: its primary does not answer."""
    key_share: float
    memory_bytes: int | None
    """What the server says that it uses in all, its own needs included."""
    memory_share: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """All shards, in the order of their first slot, then the primaries without slots."""

    shards: tuple[ShardShare, ...]
    slots: int
    keys: int
    memory_bytes: int


def distribution(view: View) -> Distribution:
    """Return what each shard has."""
    topology = view.topology
    first_slot = {owner.id: first for first, _, owner in reversed(topology.ranges())}
    nodes = sorted(
        (*topology.primaries, *topology.empty_primaries),
        key=lambda node: (first_slot.get(node.id, SLOT_COUNT), node.address),
    )
    reports = {node.id: view.by_id.get(node.id) for node in nodes}
    keys = sum(report.keys for report in reports.values() if report)
    memory = sum(report.number("used_memory") for report in reports.values() if report)
    shards = []
    for node in nodes:
        report = reports[node.id]
        slots = view.slots_of(node.id)
        shards.append(
            ShardShare(
                primary=node.address,
                id=node.id,
                slots=len(slots),
                ranges=slot_text(slots),
                slot_share=len(slots) / SLOT_COUNT,
                keys=report.keys if report else None,
                key_share=report.keys / keys if report and keys else 0.0,
                memory_bytes=report.number("used_memory") if report else None,
                memory_share=report.number("used_memory") / memory if report and memory else 0.0,
                replicas=len(topology.replicas_of(node.id)),
            )
        )
    return Distribution(tuple(shards), topology.covered_slots, keys, memory)
