"""What each slot weighs: its keys, its bytes, its traffic. Reads, and changes nothing.

Strategy: keys are counted by the servers. Bytes are measured on a few keys of each slot
(MEMORY USAGE) and taken times the keys. Traffic is what the servers count by slot, where they do
(Valkey from 8 with cluster-slot-stats-enabled); else each node's own rate, spread over
its slots by their keys.

Cost: 0.1 s for the keys of 16384 slots, about 1 s a shard for the bytes (2 cores).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from proxy.manage.errors import NodeRefused
from proxy.manage.links import Command, Links, Reply
from proxy.manage.report import Report
from proxy.manage.view import View

AT_ONCE = 500  # commands in one pipeline: the server is free for others in between
SAMPLED_KEYS = 3  # of each slot
TRAFFIC_S = 2.0  # how long traffic is watched

Loads = Mapping[int, float]


def measure(links: Links, view: View, by: str) -> Loads | None:
    """Return what each slot weighs; None for ``slots``, where all weigh the same.

    Args:
        links: To the nodes.
        view: The cluster.
        by: ``slots``, ``keys``, ``memory`` or ``traffic``.

    Raises:
        ManageError: A primary does not answer, or may not be asked.
        ValueError: ``by`` is none of the four.
    """
    match by:
        case "slots":
            return None
        case "keys":
            return {slot: float(count) for slot, count in slot_keys(links, view).items()}
        case "memory":
            return _each_primary(view, lambda report: _bytes_of(links, report))
        case "traffic":
            return _each_primary(view, lambda report: _traffic_of(links, report))
    raise ValueError(f"by {by!r}: slots, keys, memory or traffic")


def slot_keys(
    links: Links, view: View, slots: Mapping[str, Sequence[int]] | None = None
) -> dict[int, int]:
    """Return how many keys each slot has.

    Args:
        links: To the nodes.
        view: The cluster.
        slots: By the id of the node to ask; None: all slots, at their owners.
    """
    asked = slots or {report.id: view.slots_of(report.id) for report in view.primaries}

    def count(entry: tuple[str, Sequence[int]]) -> dict[int, int]:
        report = view.by_id[entry[0]]
        commands = [("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in entry[1]]
        return dict(zip(entry[1], in_parts(links, report, commands), strict=True))

    with ThreadPoolExecutor(len(asked) or 1) as askers:
        counts = list(askers.map(count, asked.items()))
    return {slot: keys for part in counts for slot, keys in part.items()}


def in_parts(links: Links, report: Report, commands: Sequence[Command]) -> list[Reply]:
    """Send many commands to a node, a part at a time, and return all replies."""
    link = links[report.address]
    return [
        reply
        for start in range(0, len(commands), AT_ONCE)
        for reply in link.call_many(commands[start : start + AT_ONCE])
    ]


def _each_primary(view: View, weigh: Callable[[Report], dict[int, float]]) -> Loads:
    with ThreadPoolExecutor(len(view.primaries) or 1) as askers:
        parts = list(askers.map(weigh, view.primaries))
    return {slot: load for part in parts for slot, load in part.items()}


def _bytes_of(links: Links, report: Report) -> dict[int, float]:
    slots = report.own_slots
    counts = in_parts(links, report, [("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
    samples = in_parts(
        links, report, [("CLUSTER", "GETKEYSINSLOT", slot, SAMPLED_KEYS) for slot in slots]
    )
    asked = [(slot, key) for slot, keys in zip(slots, samples, strict=True) for key in keys]
    sizes = in_parts(links, report, [("MEMORY", "USAGE", key) for _, key in asked])
    by_slot: dict[int, list[int]] = {}
    for (slot, _), size in zip(asked, sizes, strict=True):
        if size:  # null: it has expired meanwhile
            by_slot.setdefault(slot, []).append(size)
    return {
        slot: count * sum(by_slot[slot]) / len(by_slot[slot])
        for slot, count in zip(slots, counts, strict=True)
        if slot in by_slot
    }


def _traffic_of(links: Links, report: Report) -> dict[int, float]:
    """Return the commands a second of each slot, or the microseconds where those are counted."""
    slots = report.own_slots
    before = _slot_stats(links, report)
    commands_before = _commands(links, report)
    time.sleep(TRAFFIC_S)
    after = _slot_stats(links, report)
    if before and after:
        return {slot: float(after.get(slot, 0) - before.get(slot, 0)) for slot in slots}
    commands = _commands(links, report) - commands_before
    keys = in_parts(links, report, [("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
    total = sum(keys) or 1
    return {slot: commands * count / total for slot, count in zip(slots, keys, strict=True)}


def _slot_stats(links: Links, report: Report) -> dict[int, int]:
    """Return the processor time of each slot; empty where the server does not count it."""
    try:
        rows = links[report.address].call("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 0, 16383)
    except NodeRefused:
        return {}
    found = {}
    for slot, pairs in rows:
        facts = dict(zip(pairs[::2], pairs[1::2], strict=True))
        if b"cpu-usec" in facts:
            found[slot] = facts[b"cpu-usec"]
    return found


def _commands(links: Links, report: Report) -> int:
    text: bytes = links[report.address].call("INFO", "stats")
    for line in text.splitlines():
        if line.startswith(b"total_commands_processed:"):
            return int(line.partition(b":")[2])
    return 0
