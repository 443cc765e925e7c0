"""KEYS, DBSIZE and RANDOMKEY over the whole cluster, right also while slots move.

Strategy: these commands have no key and are never refused, so each primary is
asked for its own slots on the same connection (``control.own_slots``). If every
slot was closed on exactly one node and no node was importing any, each key was
on one node when that node answered, and the answers are put together as they
are. Otherwise, and only then, keys count where their slot was closed, and slots
that were open are read from both their nodes (``control.open_slot``).

Cost: CLUSTER NODES beside the command, about 20 us of each server's time, and
about 15 us here to see that all slots are there (CPython 3.11, CI machine).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.cluster.topology import Node, Topology
from proxy.commands.glob import key_like
from proxy.commands.scan_cursor import ScanOptions
from proxy.control.everyone import (
    Answer,
    all_primaries,
    ask_everyone,
    failure_of,
)
from proxy.control.merges import join_arrays
from proxy.control.nodes import Nodes, Own, Patience
from proxy.control.open_slot import (
    OpenSlot,
    Refused,
    SlotHasMoved,
    expect_integer,
    expect_keys,
    expect_text,
    find_open_slot,
    read_keys,
    read_matching_keys,
)
from proxy.control.own_slots import ASK_OWN_SLOTS, OwnSlots, parse_own_slots
from proxy.errors import BackendUnavailable
from proxy.resp import replies
from proxy.resp.decode import decode, error_code
from proxy.resp.encode import array, bulk, integer, null


@dataclass(frozen=True, slots=True)
class View:
    """What one node answered, and what it said of its slots right after."""

    node: Node
    frames: list[bytes]
    own: OwnSlots

    @classmethod
    def of(cls, answer: Answer) -> View:
        """Take an answer whose last frame is CLUSTER NODES."""
        *frames, own = answer.frames
        return cls(answer.node, frames, parse_own_slots(expect_text(decode(own))))


def slots_in_motion(views: Sequence[View], topology: Topology) -> list[int]:
    """Return the slots that have an owner in the map and were not closed on exactly one node.

    On no node: it is open, or just being handed over. On two: the views are of
    different moments, and the slot went from one to the other in between.
    """
    closed_on = bytearray(SLOT_COUNT)
    for view in views:
        for first, last in view.own.ranges:
            stretch = closed_on[first : last + 1]
            is_first = not any(stretch)
            closed_on[first : last + 1] = (
                b"\1" * len(stretch) if is_first else bytes(min(n + 1, 2) for n in stretch)
            )
    for view in views:
        for slot in view.own.migrating:
            closed_on[slot] = 0
    if closed_on.count(1) == SLOT_COUNT:
        return []
    return [
        slot
        for slot, nodes in enumerate(closed_on)
        if nodes != 1 and topology.owners[slot] is not None
    ]


def slots_apart(moving: Sequence[int], views: Sequence[View]) -> list[int]:
    """Return the slots that not every answer may be taken for: in motion, or being imported.

    A node may import what another has closed: the views are of different
    moments, or a migration was called off at one end only.
    """
    return sorted({*moving, *(slot for view in views for slot in view.own.importing)})


def find_open_slots(slots: Sequence[int], views: Sequence[View], nodes: Nodes) -> list[OpenSlot]:
    """Return source and target of each slot in motion.

    Raises:
        SlotHasMoved: Nobody says that he is giving one of them away: it is just
            being handed over, or a node is missing in the map.
    """
    found: list[OpenSlot] = []
    for slot in slots:
        source = next((view for view in views if slot in view.own.migrating), None)
        if source is None:
            raise SlotHasMoved
        found.append(find_open_slot(slot, source.node, source.own, nodes))
    return found


async def keys(args: list[bytes], *, nodes: Nodes) -> bytes:
    """Answer KEYS: every key that matches, once.

    Args:
        args: The whole command, ``[b"KEYS", b"user:*"]``.
        nodes: The cluster.

    Returns:
        The reply frame, the same in RESP2 and RESP3; an error if any part failed.
    """
    patience = Patience(nodes)
    options = ScanOptions(pattern=args[1])
    like = key_like(options.pattern)
    only = None if like is None else key_slot(like)

    def who(topology: Topology) -> list[Node]:
        if only is None:
            return all_primaries(topology)
        owner = topology.owner(only)
        return [] if owner is None else [owner]

    while True:
        answers = await ask_everyone(
            [tuple(args), ASK_OWN_SLOTS], who, nodes=nodes, patience=patience
        )
        failure = failure_of(b"keys", answers, patience)
        if failure is not None:
            return failure
        views = [View.of(answer) for answer in answers]
        moving = [slot for slot in slots_in_motion(views, nodes.topology) if only in {None, slot}]
        if not slots_apart(moving, views):
            return join_arrays([view.frames[0] for view in views])
        try:
            found = _closed_keys(views, moving)
            for open_slot in find_open_slots(moving, views, nodes):
                more = await read_matching_keys(open_slot, options, nodes)
                if isinstance(more, Refused):
                    return replies.node_failed(
                        b"keys", node=str(more.node.address), first_error=more.frame
                    )
                found += more
            return array([bulk(key) for key in found])
        except (SlotHasMoved, BackendUnavailable):
            if patience.is_over:
                return replies.never_sent(moving[0], patience.timeout_s)
        await patience.wait()


def _closed_keys(views: Sequence[View], moving: Sequence[int]) -> list[bytes]:
    """Return the keys of each node that are in slots that were closed there and only there."""
    found: list[bytes] = []
    for view in views:
        closed = set(view.own.closed()).difference(moving)
        found += [key for key in expect_keys(decode(view.frames[0])) if key_slot(key) in closed]
    return found


async def dbsize(*, nodes: Nodes) -> bytes:
    """Answer DBSIZE; a key that is just changing its node counts once."""
    patience = Patience(nodes)
    apart: list[int] = []
    while True:
        count_apart = [Own((b"CLUSTER", b"COUNTKEYSINSLOT", b"%d" % slot)) for slot in apart]
        answers = await ask_everyone(
            [(b"DBSIZE",), *count_apart, ASK_OWN_SLOTS],
            all_primaries,
            nodes=nodes,
            patience=patience,
        )
        failure = failure_of(b"dbsize", answers, patience)
        if failure is not None:
            return failure
        views = [View.of(answer) for answer in answers]
        moving = slots_in_motion(views, nodes.topology)
        expected, apart = apart, slots_apart(moving, views)
        if apart == expected:
            try:
                size = await _moving_size(moving, views, nodes)
                return integer(size + _closed_size(views, apart, moving))
            except (SlotHasMoved, BackendUnavailable):
                await patience.wait()
        # Else once more at once, with the sizes of the slots that are to be told apart.
        if patience.is_over:
            return replies.never_sent(moving[0] if moving else None, patience.timeout_s)


def _closed_size(views: Sequence[View], apart: Sequence[int], moving: Sequence[int]) -> int:
    """Return how many keys are in slots that are closed, each where it is."""
    size = 0
    for view in views:
        everything, *sizes = [expect_integer(frame) for frame in view.frames]
        size += everything - sum(
            size_apart
            for slot, size_apart in zip(apart, sizes, strict=True)
            if slot in moving or not view.own.is_closed(slot)
        )
    return size


async def _moving_size(moving: Sequence[int], views: Sequence[View], nodes: Nodes) -> int:
    """Return how many keys are in slots that are in motion, on either side."""
    size = 0
    for open_slot in find_open_slots(moving, views, nodes):
        found = await read_keys(open_slot, nodes)
        if isinstance(found, Refused):
            raise SlotHasMoved
        size += len(found)
    return size


async def random_key(*, resp: int, nodes: Nodes) -> bytes:
    """Answer RANDOMKEY: of a shard that has keys, each as likely as the others.

    The first that is not empty, in a random order of all, is just that. A
    shard that does not answer is passed over, but then null would be a guess.
    """
    patience = Patience(nodes)
    while True:
        shards = all_primaries(nodes.topology)
        random.shuffle(shards)
        failure = None if shards else replies.never_sent(None, patience.timeout_s)
        for node in shards:
            try:
                frame = await nodes.call(node, b"RANDOMKEY", resp=resp)
            except BackendUnavailable as problem:
                failure = patience.failure(problem, node)
            else:
                if error_code(frame) is not None:
                    failure = frame
                elif frame != null(resp):
                    return frame
        if failure is None:
            return null(resp)
        if patience.is_over or not Refused(shards[0], failure).is_passing:
            return failure
        await patience.wait()
