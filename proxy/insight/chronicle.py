"""Make events of what happens: to the cluster's map, to nodes, to connections.

Strategy: each map that is read is compared with the one before. What a MOVED has told
already is not told again when the map confirms it. That a slot is on the move is known from
three sides: a node's own view, the survey of all of them, and ASK; that it has ended, from
the slot's new owner or from its source.

Cost: 20 us each time the map is read; a millisecond if its nodes are not quite the same, two
if slots have changed hands (CPython 3.11, CI machine).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from proxy.cluster.addresses import Address
from proxy.cluster.changes import (
    Failover,
    Readdressed,
    SlotsCovered,
    SlotsMoved,
    SlotsUncovered,
    find_changes,
)
from proxy.cluster.map import Node, Topology
from proxy.cluster.slots import slot_ranges
from proxy.control.notices import Notices
from proxy.dataplane.client import Client
from proxy.insight.events import EventLog
from proxy.insight.views import MovingSlot
from proxy.insight.views_answers import EventKind, Level

# A silent node is told of at every sweep; one that is not for so long has spoken.
SILENCE_TOLD_S = 2.0


class Chronicle(Notices):
    """Watches what happens, and tells the log of events.

    Args:
        events: Where it is told.
        suspect: Has the map read soon.

    Attributes:
        moving: Slots on the move, by slot.
        broken: Nodes whose last connection broke, and that have none since.
        lost_connections: Connections to nodes that broke so far.
        read_s: When the map was read last, by ``time.monotonic``; None: never.
    """

    def __init__(self, events: EventLog, suspect: Callable[[], None]) -> None:
        self.moving: dict[int, MovingSlot] = {}
        self.broken: set[Address] = set()
        self.lost_connections = 0
        self.read_s: float | None = None
        self._events = events
        self._suspect = suspect
        self._map: Topology | None = None
        self._silent: dict[Address, float] = {}
        # Slots whose move a MOVED has told, until a map confirms it.
        self._told: dict[int, Address] = {}

    # ---- connections ---------------------------------------------------------------

    def connected(self, address: Address) -> None:
        """Tell that a connection is there, if the node had none that worked."""
        if address in self.broken:
            self.broken.discard(address)
            self._note(EventKind.CONNECTED, f"{address} is reached again", node=address)

    def lost(self, address: Address) -> None:
        """Tell that a connection has broken."""
        self.lost_connections += 1
        self.broken.add(address)
        self._silent.pop(address, None)
        self._note(
            EventKind.CONNECTION_LOST,
            f"a connection to {address} was lost",
            level=Level.WARNING,
            node=address,
        )

    def unreachable(self, address: Address, problem: str) -> None:
        """Tell that a node cannot be connected to."""
        self.broken.add(address)
        self._note(EventKind.UNREACHABLE, problem, level=Level.WARNING, node=address)

    def silent(self, address: Address, seconds: float) -> None:
        """Tell once that a node owes replies and is silent."""
        is_new = address not in self._silent
        self._silent[address] = time.monotonic()
        if is_new:
            text = f"{address} owes replies and has sent nothing for {seconds:.1f} s"
            self._note(EventKind.NODE_SILENT, text, level=Level.WARNING, node=address)

    def down(self, address: Address, silent_s: float) -> None:
        """Tell that a node counts as down."""
        text = f"{address} has missed its health checks for {silent_s:.1f} s: it counts as down"
        self._note(EventKind.NODE_DOWN, text, level=Level.ERROR, node=address)

    def up(self, address: Address, down_s: float) -> None:
        """Tell that it no longer does."""
        text = f"{address} answers health checks again, after {down_s:.1f} s"
        self._note(EventKind.NODE_UP, text, node=address)

    def breaker_opened(self, address: Address) -> None:
        """Tell that requests for a node are answered at once."""
        text = f"the breaker of {address} has opened: requests for it are answered at once"
        self._note(EventKind.BREAKER_OPENED, text, level=Level.ERROR, node=address)

    def breaker_closed(self, address: Address) -> None:
        """Tell that requests for a node are sent to it again."""
        text = f"the breaker of {address} has closed: requests are sent to it again"
        self._note(EventKind.BREAKER_CLOSED, text, node=address)

    def look_at_silence(self) -> None:
        """Forget the silence of nodes that nothing was heard of for a while; once a second."""
        forgotten = time.monotonic() - SILENCE_TOLD_S
        self._silent = {node: at for node, at in self._silent.items() if at > forgotten}

    def cut(self, client: Client, reason: str) -> None:
        """Tell that the proxy has closed a client."""
        text = f"client {client.id} ({client.address}) was closed: {reason}"
        self._note(EventKind.CLIENT_CUT, text, level=Level.WARNING)

    # ---- slots on the move ---------------------------------------------------------

    def asked(self, slot: int, source: Address, target: Address) -> None:
        """Note what an ASK says: the slot is on the move."""
        self._see(slot, str(source), str(target))

    def surveyed(self, moving: Mapping[int, tuple[str, str]], answered: frozenset[str]) -> None:
        """Compare with what the primaries have said of their own slots.

        Args:
            moving: Slot to the ids of source and target.
            answered: The ids of those that have said anything.
        """
        for slot, (source, target) in moving.items():
            self._see(slot, self._name(source), self._name(target))
        names = {self._name(node_id) for node_id in answered}
        ended = [
            slot
            for slot, known in self.moving.items()
            if known.source in names and slot not in moving
        ]
        for slot in ended:
            self._end(slot)
        if ended:
            self._suspect()  # whoever has them now is in no map yet

    def _see(self, slot: int, source: str, target: str) -> None:
        if slot in self.moving:
            return
        self.moving[slot] = MovingSlot(slot=slot, source=source, target=target)
        text = f"slot {slot} is being moved from {source} to {target}"
        self._events.note(EventKind.MIGRATION_BEGUN, text, node=source, slot=slot)

    def _end(self, slot: int) -> None:
        ended = self.moving.pop(slot)
        text = f"the move of slot {slot} from {ended.source} to {ended.target} is over"
        self._events.note(EventKind.MIGRATION_ENDED, text, node=ended.target, slot=slot)

    def _name(self, node_id: str) -> str:
        node = self._map.node_by_id(node_id) if self._map else None
        return str(node.address) if node else node_id

    # ---- the map -------------------------------------------------------------------

    def slot_moved(self, slot: int, address: Address) -> None:
        """Tell what a MOVED says, unless it is a replica that has taken over all of a shard."""
        owner = self._map.owner(slot) if self._map else None
        target = self._map.node_at(address) if self._map else None
        if owner is None or target is None or target.primary_id == owner.id:
            return  # the map that is read next tells it better
        self._told[slot] = address
        text = f"slot {slot} has moved from {owner.address} to {address}"
        self._note(EventKind.SLOT_MOVED, text, node=address, slot=slot)
        if slot in self.moving:
            self._end(slot)

    def map_read(self, topology: Topology) -> None:
        """Tell what is different in a map just read."""
        self.read_s = time.monotonic()
        before, self._map = self._map, topology
        if before is None or before.generation != topology.generation:
            self._note(EventKind.MAP_CHANGED, describe_map(topology))
        if before is not None:
            self._compare_nodes(before, topology)
            if before.owners != topology.owners or before.nodes != topology.nodes:
                self._compare_slots(before, topology)
        self._told.clear()
        self._compare_moving(topology)
        present = {node.address for node in topology.nodes}
        self.broken &= present

    def _compare_moving(self, topology: Topology) -> None:
        asked = topology.asked_id
        for slot, target in topology.migrating.items():
            self._see(slot, self._name(asked), self._name(target))
        for slot, source in topology.importing.items():
            # A node that imports a slot may go on saying so after the move is over.
            owner = topology.owner(slot)
            if owner is not None and owner.id == source:
                self._see(slot, self._name(source), self._name(asked))
        for slot, known in list(self.moving.items()):
            owner = topology.owner(slot)
            has_arrived = owner is not None and str(owner.address) == known.target
            is_given_up = known.source == self._name(asked) and slot not in topology.migrating
            if has_arrived or is_given_up:
                self._end(slot)

    def _compare_nodes(self, before: Topology, now: Topology) -> None:
        known = {node.id: node for node in before.nodes}
        for node in now.nodes:
            old = known.pop(node.id, None)
            if old is None:
                self._note(EventKind.NODE_ADDED, f"{node.address} is new", node=node.address)
            elif node.failed and not old.failed:
                text = f"the cluster says that {node.address} is down"
                self._note(EventKind.NODE_FAILED, text, level=Level.ERROR, node=node.address)
            elif old.failed and not node.failed:
                self._note(EventKind.NODE_BACK, f"{node.address} is back", node=node.address)
        for node in known.values():
            self._note(EventKind.NODE_GONE, f"{node.address} is gone", node=node.address)

    def _compare_slots(self, before: Topology, now: Topology) -> None:
        for change in find_changes(before, now):
            match change:
                case Failover(old, new, slots):
                    self._note(
                        EventKind.FAILOVER,
                        f"{new.address} has taken over {ranges_text(slots)} from {old.address}",
                        level=Level.WARNING,
                        node=new.address,
                        slot=slots[0],
                    )
                case SlotsMoved(old, new, slots):
                    self._note_moved(slots, f"from {old.address}", new)
                case SlotsCovered(new, slots):
                    self._note_moved(slots, "from nobody", new)
                case SlotsUncovered(old, slots):
                    self._note_moved(slots, f"from {old.address}", None)
                case Readdressed(old, new):
                    text = f"{old.address} is now at {new.address}"
                    self._note(EventKind.NODE_MOVED, text, node=new.address)

    def _note_moved(self, slots: Sequence[int], source: str, owner: Node | None) -> None:
        """Tell of slots that have another owner, but for those that a MOVED has told of."""
        if owner is not None:
            slots = [slot for slot in slots if self._told.get(slot) != owner.address]
        if not slots:
            return
        target = "nobody" if owner is None else str(owner.address)
        self._note(
            EventKind.SLOT_MOVED,
            f"{ranges_text(slots)} moved {source} to {target}",
            level=Level.INFO if owner else Level.ERROR,
            node=owner.address if owner else None,
            slot=slots[0],
            count=len(slots),
        )

    def _note(
        self,
        kind: EventKind,
        text: str,
        *,
        level: Level = Level.INFO,
        node: Address | None = None,
        slot: int | None = None,
        count: int = 1,
    ) -> None:
        address = None if node is None else str(node)
        self._events.note(kind, text, level=level, node=address, slot=slot, count=count)


def describe_map(topology: Topology) -> str:
    """Return what a map has, in one line."""
    return (
        f"map {topology.generation}: {len(topology.primaries)} shards, {len(topology.nodes)} nodes,"
        f" {topology.covered_slots} slots covered"
    )


SHOWN_RANGES = 4


def ranges_text(slots: Sequence[int]) -> str:
    """Return rising slots as text: ``slots 0-99, 200 and 12 more``."""
    ranges = slot_ranges(slots)
    shown = [f"{a}-{b}" if b > a else f"{a}" for a, b in ranges[:SHOWN_RANGES]]
    rest = sum(b - a + 1 for a, b in ranges[SHOWN_RANGES:])
    word = "slot" if len(slots) == 1 else "slots"
    return f"{word} {', '.join(shown)}" + (f" and {rest} more" if rest else "")
