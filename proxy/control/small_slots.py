"""All keys of a few closed slots, from a server that has one dictionary for the whole node.

Strategy: SCAN reads such a node from end to end whatever slots are wanted, so a
node with its slots in many small stretches would be read once for each. Such
stretches are read slot by slot instead: the sizes first, then the keys of as
many slots as make a page, and CLUSTER NODES after them, which says whether these
were all. The servers' list of a slot knows neither pattern nor type nor what
has expired; that is looked at as for open slots (``control.open_slot``).

Cost: three round trips for each page or each 64 slots, and one more for each 1,000
keys that match.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.cluster.topology import Node
from proxy.commands.scan_cursor import ScanOptions
from proxy.control.nodes import Nodes, Own
from proxy.control.open_slot import (
    Refused,
    SlotHasMoved,
    expect_integer,
    expect_keys,
    expect_text,
    keep_matching,
)
from proxy.control.own_slots import ASK_OWN_SLOTS, parse_own_slots
from proxy.resp.decode import decode, error_code

SLOTS_AT_ONCE = 64

# A server makes the list in one go: 10,000 keys take it about 2 ms.
KEYS_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class SmallSlots:
    """The keys of some slots, and the first slot that is not among them."""

    keys: list[bytes]
    end: int


async def read_small_slots(
    node: Node, slots: range, options: ScanOptions, nodes: Nodes
) -> SmallSlots | Refused | None:
    """Return the keys that match, of the first of ``slots``.

    Args:
        node: Who serves them, as far as is known.
        slots: At least one.
        options: What the client wants; ``count`` bounds how many slots are read.
        nodes: The cluster.

    Returns:
        None if the first slot alone has more than ``KEYS_LIMIT`` keys.

    Raises:
        SlotHasMoved: It is not certain that these are all.
        BackendUnavailable: The node does not answer.
    """
    slots = slots[:SLOTS_AT_ONCE]
    frames = await nodes.call_many(
        node, [Own((b"CLUSTER", b"COUNTKEYSINSLOT", b"%d" % slot)) for slot in slots]
    )
    if (refused := _refusal(node, frames)) is not None:
        return refused
    chosen = _first_page([expect_integer(frame) for frame in frames], options.count)
    if chosen == 0:
        return None
    slots = slots[:chosen]

    frames = await nodes.call_many(
        node,
        [
            *(
                Own((b"CLUSTER", b"GETKEYSINSLOT", b"%d" % slot, b"%d" % (KEYS_LIMIT + 1)))
                for slot in slots
            ),
            ASK_OWN_SLOTS,
        ],
    )
    if (refused := _refusal(node, frames)) is not None:
        return refused
    *lists, own_text = (decode(frame) for frame in frames)
    end = min(parse_own_slots(expect_text(own_text)).closed_until(slots.start), slots.stop)
    if end == slots.start:
        raise SlotHasMoved
    keys: list[bytes] = []
    for slot, some in zip(slots, map(expect_keys, lists), strict=True):
        if slot < end and len(some) > KEYS_LIMIT:
            raise SlotHasMoved  # no, it has grown: look again
        if slot < end:
            keys += some
    found = await keep_matching(keys, node, None, options, nodes)
    return found if isinstance(found, Refused) else SmallSlots(found, end)


def _first_page(sizes: list[int], count: int) -> int:
    """Return how many slots to read: until there are ``count`` keys, and none too large."""
    keys = 0
    for slots, size in enumerate(sizes):
        if size > KEYS_LIMIT or keys >= count:
            return slots
        keys += size
    return len(sizes)


def _refusal(node: Node, frames: list[bytes]) -> Refused | None:
    return next((Refused(node, frame) for frame in frames if error_code(frame) is not None), None)
