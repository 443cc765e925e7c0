"""Move slots as every version can: mark them on both sides, copy the keys, tell everybody.

Strategy: a batch of slots is open at a time. The target hears of its new slots first, and
takes an epoch of its own with them; then the source, then all other primaries, since a
node that is not told has to hear it by gossip. Before that, the epochs must be settled
(``proxy.cluster.epochs``). Where others believe the source all the same, the target claims
anew, with a higher one.

Cost: some waits for each batch; 1000 empty slots take 0.5 s with Redis 7.0 and 2 s with Valkey
8 or later, where each SETSLOT waits for the replicas (2 cores, loopback).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.cluster.addresses import Address
from proxy.cluster.epochs import QUESTIONS, parse_epochs, unsettled_epoch
from proxy.cluster.topology import parse_cluster_nodes
from proxy.manage.errors import NodeRefused, NotInTime
from proxy.manage.links import Links
from proxy.manage.migrate_keys import KeyMover, Tally
from proxy.manage.patience import wait_until_none

GOSSIP_DEADLINE_S = 30.0
CLAIM_S = 5.0  # chosen: gossip goes round once a second, and would have settled it
# What a replica answers to SETSLOT, and Valkey from 8 to one that still waited for replicas when
# its primary became one itself.
_NO_PRIMARY = ("only with masters", "instance state changed")
LANES = 50  # connections to a node over which SETSLOTs wait for replicas side by side


@dataclass(frozen=True, slots=True)
class Road:
    """From whom to whom slots move, and who else has to hear of it."""

    source: Address
    source_id: str
    target: Address
    target_id: str
    target_announced: Address
    """Where the source reaches the target."""
    bystanders: tuple[Address, ...]
    """The other primaries that answer."""
    setslot_waits: bool
    """The servers answer SETSLOT only when their replicas have it: Valkey from 8."""


class ClassicMigration:
    """Moves batches of slots along one road; not for several threads at once."""

    def __init__(
        self, links: Links, road: Road, *, tally: Tally, on_keys: Callable[[int], None]
    ) -> None:
        self._links = links
        self._road = road
        self._mover = KeyMover(
            links, road.source, road.target_announced, tally=tally, on_keys=on_keys
        )

    def move(self, slots: Sequence[int], on_step: Callable[[str], None]) -> None:
        """Move a batch; slots that are half-way already are gone on with.

        Args:
            slots: Of the source.
            on_step: Told before each step; what it raises leaves the slots as they are.

        Raises:
            ManageError: A node refused or went away; the slots stay open.
        """
        road = self._road
        on_step("open")
        wait_until_none(self._unsettled_epoch, GOSSIP_DEADLINE_S)
        # In this order, or the source would send clients to a target that refuses them.
        self._set(road.target, slots, "IMPORTING", road.source_id)
        on_step("mark")
        self._set(road.source, slots, "MIGRATING", road.target_id)
        on_step("keys")
        self._mover.move(slots)
        on_step("close")
        self._set(road.target, slots, "NODE", road.target_id)
        on_step("tell")
        self._tell_others(slots)
        on_step("agree")
        try:
            wait_until_none(lambda: self._unbeliever(slots), CLAIM_S)
        except NotInTime:
            on_step("claim anew")
            self._set(road.target, slots, "NODE", road.target_id)
            self._links[road.target].call("CLUSTER", "BUMPEPOCH")
            self._tell_others(slots)
            wait_until_none(lambda: self._unbeliever(slots), GOSSIP_DEADLINE_S)

    def _tell_others(self, slots: Sequence[int]) -> None:
        self._release(slots)
        for bystander in self._road.bystanders:
            self._tell(bystander, slots)

    def _release(self, slots: Sequence[int]) -> None:
        """Tell the source; a script may have written a key there after the last one had left."""
        try:
            self._tell(self._road.source, slots)
        except NodeRefused as problem:
            if "still hold keys" not in problem.words:
                raise
            self._mover.move(slots)
            self._tell(self._road.source, slots)

    def _tell(self, address: Address, slots: Sequence[int]) -> None:
        """Tell a node the new owner.

        A primary that hears by gossip that its last slot is gone becomes a replica at once
        (cluster-allow-replica-migration): it knows then, and refuses.
        """
        try:
            self._set(address, slots, "NODE", self._road.target_id)
        except NodeRefused as problem:
            if not any(words in problem.words for words in _NO_PRIMARY):
                raise

    def _set(self, address: Address, slots: Sequence[int], state: str, node_id: str) -> None:
        lanes = LANES if self._road.setslot_waits else 1
        set_slots(self._links, address, slots, state, node_id, lanes=lanes)

    def _unsettled_epoch(self) -> str | None:
        road = self._road
        told = {
            each: parse_epochs(*self._links[each].call_many(QUESTIONS))
            for each in (road.target, road.source, *road.bystanders)
        }
        return unsettled_epoch(told, road.target)

    def _unbeliever(self, slots: Sequence[int]) -> str | None:
        """Gossip that the source sent before it was told can undo it for a moment."""
        road = self._road
        for address in (road.target, road.source, *road.bystanders):
            view = parse_cluster_nodes(self._links[address].call("CLUSTER", "NODES"), address)
            owners = {view.owners[slot] for slot in slots}
            if {None if at is None else view.nodes[at].id for at in owners} != {road.target_id}:
                return f"{address} does not see the slots at {road.target}"
        return None


def set_slots(
    links: Links,
    address: Address,
    slots: Sequence[int],
    state: str,
    node_id: str = "",
    *,
    lanes: int = LANES,
) -> None:
    """Change the state of many slots at one node.

    Valkey from 8 answers SETSLOT only when its replicas have it, up to 10 ms later; on
    one connection the slots would wait for each other.

    Args:
        links: To the nodes.
        address: The node.
        slots: Any number.
        state: ``IMPORTING``, ``MIGRATING``, ``NODE``, or ``STABLE`` without ``node_id``.
        node_id: The other side, or the owner.
        lanes: Over how many connections.

    Raises:
        ManageError: The node did not answer or refused one of them.
    """
    words = (state, node_id) if node_id else (state,)
    commands = [("CLUSTER", "SETSLOT", slot, *words) for slot in slots]
    for reply in links.call_side_by_side(address, commands, lanes):
        if isinstance(reply, NodeRefused):
            raise reply
