"""Move slots from one primary to another, as ``redis-cli --cluster reshard`` does.

Strategy: the classic road, which every version of both engines knows: mark the
slot on both sides, copy its keys with MIGRATE, then tell the new owner, the old
one and everybody else. The three steps are functions of their own, for tests
that look at what clients see in between (ASK, TRYAGAIN).

Cost: five waits for each batch of slots and one for each batch of keys. 1000 slots
take 0.3 s with Redis 7.0 and 2 s with Valkey 9.1, where each wait is one for replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from proxy.cluster.epochs import QUESTIONS, Epochs, parse_epochs, unsettled_epoch
from proxy.embedded.agreement import view_of
from proxy.embedded.errors import EmbeddedError
from proxy.embedded.node import RedisNode
from proxy.embedded.waiting import wait_for
from proxy.resp.decode import Value

SLOTS_AT_ONCE = 50  # few, so that most of a big move is not open at any moment
KEYS_AT_ONCE = 100  # MIGRATE blocks both servers while it runs
MIGRATE_TIMEOUT_MS = 5000
GOSSIP_DEADLINE_S = 30.0


def move_slots(
    slots: Sequence[int],
    source: RedisNode,
    target: RedisNode,
    bystanders: Sequence[RedisNode] = (),
    replicas: Sequence[RedisNode] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Move ``slots`` with their keys, a batch at a time.

    Args:
        slots: All owned by ``source``.
        source: A running primary.
        target: A running primary.
        bystanders: The other running primaries; they are told the new owner.
        replicas: The running replicas; they cannot be told, and are waited for.
        on_progress: Called after each batch with the slots and keys moved so far.

    Returns:
        How many keys were moved.

    Raises:
        EmbeddedError: A node refused or did not answer; the batch stays open.
    """
    keys_moved = 0
    for start in range(0, len(slots), SLOTS_AT_ONCE):
        batch = slots[start : start + SLOTS_AT_ONCE]
        open_slots(batch, source, target, bystanders)
        keys_moved += move_keys(batch, source, target)
        close_slots(batch, source, target, bystanders, replicas)
        if on_progress is not None:
            on_progress(start + len(batch), keys_moved)
    return keys_moved


def open_slots(
    slots: Sequence[int],
    source: RedisNode,
    target: RedisNode,
    bystanders: Sequence[RedisNode] = (),
) -> None:
    """Mark the slots as importing on the target, then as migrating on the source.

    In this order, or the source would send clients to a target that refuses them.
    """
    _wait_until_epochs_are_settled(source, target, bystanders)
    _set_slots(target, slots, "IMPORTING", source.call_text("CLUSTER", "MYID"))
    _set_slots(source, slots, "MIGRATING", target.call_text("CLUSTER", "MYID"))


def move_keys(slots: Sequence[int], source: RedisNode, target: RedisNode) -> int:
    """Copy all keys of open slots to the target and delete them on the source.

    Returns:
        How many keys were asked for; those that expired meanwhile are counted.
    """
    moved = 0
    host, port = target.address.host, target.port
    with source.connect() as connection:
        left = list(slots)
        while left:
            questions = [("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE) for slot in left]
            answers = [
                (slot, _keys(reply))
                for slot, reply in zip(left, connection.call_many(questions), strict=True)
            ]
            for _, keys in answers:
                if keys:
                    connection.call(
                        *("MIGRATE", host, port, "", 0, MIGRATE_TIMEOUT_MS, "KEYS"), *keys
                    )
                    moved += len(keys)
            left = [slot for slot, keys in answers if keys]
    return moved


def close_slots(
    slots: Sequence[int],
    source: RedisNode,
    target: RedisNode,
    bystanders: Sequence[RedisNode] = (),
    replicas: Sequence[RedisNode] = (),
) -> None:
    """Give the slots to the target for good.

    The target hears it first, and takes a new epoch with it: if the source were
    first, it would send clients to a target that still sends them back.

    A replica learns it from the target's gossip. If the source took a higher epoch
    before that, with another slot, the replica would believe the source for ever.
    """
    target_id = target.call_text("CLUSTER", "MYID")
    told = (target, source, *bystanders)
    for node in told:
        _set_slots(node, slots, "NODE", target_id)

    def is_believed() -> bool:
        # Gossip that the source sent before it was told can undo it for a moment.
        alive = [node for node in replicas if node.is_running]
        views = (view_of(node) for node in (*told, *alive))
        owners = (view.owner(slot) for view in views for slot in slots)
        return all(owner is not None and owner.id == target_id.decode() for owner in owners)

    wait_for(is_believed, GOSSIP_DEADLINE_S, f"all to see the slots at {target.address}")


def _wait_until_epochs_are_settled(
    source: RedisNode, target: RedisNode, bystanders: Sequence[RedisNode]
) -> None:
    """Wait until the target can claim slots for good."""
    reason: str | None = None

    def are_settled() -> bool:
        nonlocal reason
        told = {node.address: _epochs(node) for node in (target, source, *bystanders)}
        reason = unsettled_epoch(told, target.address)
        return reason is None

    wait_for(are_settled, GOSSIP_DEADLINE_S, lambda: f"settled epochs: {reason}")


def _epochs(node: RedisNode) -> Epochs | None:
    return parse_epochs(*(node.call_text(*question) for question in QUESTIONS))


def _set_slots(node: RedisNode, slots: Sequence[int], state: str, node_id: bytes) -> None:
    """Change the state of many slots at once, each on a connection of its own.

    Valkey from 8 answers SETSLOT only when its replicas have it, more than 1 ms
    later; on one connection the slots would wait for each other.
    """
    commands = [("CLUSTER", "SETSLOT", slot, state, node_id) for slot in slots]
    with ExitStack() as stack:
        # All are connected before the first sends, so that the server reads many
        # commands in one turn: at the end of each turn it saves its map to disk.
        connections = [stack.enter_context(node.connect()) for _ in commands]
        for connection, command in zip(connections, commands, strict=True):
            connection.send([command])
        for connection, command in zip(connections, commands, strict=True):
            connection.receive([command])


def _keys(reply: Value) -> list[bytes]:
    if not isinstance(reply, list):
        raise EmbeddedError(f"GETKEYSINSLOT answered {reply!r}")
    return [key for key in reply if isinstance(key, bytes)]
