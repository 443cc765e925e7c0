"""Which slots a node itself says it serves, read beside a command sent to it.

Strategy: a command without a key (SCAN, KEYS, DBSIZE) is never refused, so an
old map or an open migration would go unnoticed. CLUSTER NODES on the same
connection, right after the command, tells which slots were wholly on that node
when the command ran. Only the line that says ``myself`` is looked at.

A slot is *closed* on a node if the node serves it and is not giving keys of it
away. Only then are all its keys there.

Cost: about 10 us for the text of 6 nodes, and no pass over 16384 slots, as
``parse_cluster_nodes`` needs one (CPython 3.11, CI machine).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from proxy.cluster.slots import SLOT_COUNT
from proxy.control.nodes import Own
from proxy.errors import BackendProtocolError

ASK_OWN_SLOTS = Own((b"CLUSTER", b"NODES"))

_MYSELF = re.compile(rb"^\S+ \S+ (?:\S+,)?myself(?:,\S+)? \S+ \S+ \S+ \S+ \S+(?P<slots>.*)$", re.M)


@dataclass(frozen=True, slots=True)
class OwnSlots:
    """The slots of one node, in its own words at one moment."""

    ranges: tuple[tuple[int, int], ...] = ()
    """First and last slot of each stretch it serves, ascending."""
    migrating: Mapping[int, str] = field(default_factory=dict)
    """Slots it is giving away, with the id of the node that gets them."""
    importing: frozenset[int] = frozenset()
    """Slots it may have keys of though another node serves them."""

    def closed_until(self, slot: int) -> int:
        """Return the first slot from ``slot`` on that is not closed here; ``slot`` if it is not."""
        end = slot
        for first, last in self.ranges:
            if first <= end <= last:
                end = last + 1
        return min([end, *(leaving for leaving in self.migrating if slot <= leaving < end)])

    @property
    def size(self) -> int:
        """How many slots it serves."""
        return sum(last + 1 - first for first, last in self.ranges)

    def is_closed(self, slot: int) -> bool:
        """Return whether all keys of ``slot`` are here."""
        return self.closed_until(slot) > slot

    def closed(self) -> Iterator[int]:
        """Yield all slots that are closed here."""
        for first, last in self.ranges:
            for slot in range(first, last + 1):
                if slot not in self.migrating:
                    yield slot


def parse_own_slots(text: bytes) -> OwnSlots:
    """Read the line of the asked node itself out of CLUSTER NODES.

    A replica serves nothing, and so does a node that says nothing of itself.

    Raises:
        BackendProtocolError: The line does not have the documented form.

    Any other exception out of this function is a bug.
    """
    line = _MYSELF.search(text)
    if line is None:
        return OwnSlots()
    ranges: list[tuple[int, int]] = []
    migrating: dict[int, str] = {}
    importing: set[int] = set()
    try:
        for word in line["slots"].split():
            if word.startswith(b"["):
                slot, is_leaving, target = word.strip(b"[]").partition(b"->-")
                if is_leaving:
                    migrating[_slot(slot)] = target.decode("ascii")
                else:
                    importing.add(_slot(slot.partition(b"-<-")[0]))
                continue
            first, _, last = word.partition(b"-")
            ranges.append((_slot(first), _slot(last or first)))
    except ValueError as problem:
        raise BackendProtocolError(f"CLUSTER NODES: {line[0]!r}: {problem}") from None
    return OwnSlots(tuple(sorted(ranges)), migrating, frozenset(importing))


def _slot(word: bytes) -> int:
    slot = int(word)
    if not 0 <= slot < SLOT_COUNT:
        raise ValueError(f"slot {slot} is not in 0..{SLOT_COUNT - 1}")
    return slot
