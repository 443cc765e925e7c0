"""All keys of a slot that is being moved, from the two nodes that share them.

Strategy: keys only move forward, from the source to the target, each there
before it is gone here. So the source is asked first and the target after it: a
key that the source no longer had, the target has. At the end the source says
whether the slot is still open in the same direction; if not, nothing is certain
and the caller asks the map again. The servers cannot tell which of these keys
match, so the proxy does that, and asks both for the keys' types, which also
shows what has expired.

Cost: three round trips for the keys, two more for each 1,000 that match. A slot
is open for moments; nothing here runs while no slot is.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.cluster.redirects import parse_refusal
from proxy.cluster.topology import Node
from proxy.commands.glob import compile_glob
from proxy.commands.scan_cursor import ScanOptions
from proxy.control.nodes import Nodes, Own
from proxy.control.own_slots import ASK_OWN_SLOTS, OwnSlots, parse_own_slots
from proxy.errors import BackendProtocolError, ProxyError
from proxy.resp.decode import decode, error_code

# The servers return what there is; a reply over limits.reply_limit_bytes is an error.
_ALL_KEYS = b"2147483647"

# Bounds how long the proxy does nothing else: about 2 ms (CPython 3.11, CI machine).
_KEYS_AT_ONCE = 1000

_GONE = b"+none\r\n"


@dataclass(frozen=True, slots=True)
class OpenSlot:
    """A slot on its way from one node to another."""

    slot: int
    source: Node
    target: Node


@dataclass(frozen=True, slots=True)
class Refused:
    """A node answered with an error; ``frame`` is its own."""

    node: Node
    frame: bytes

    @property
    def is_passing(self) -> bool:
        """Whether it comes from the cluster's state and not from what was asked."""
        return parse_refusal(self.frame, self.node.address) is not None


class SlotHasMoved(ProxyError):
    """The slot is not open in this way any more: ask the map again."""


def find_open_slot(slot: int, source: Node, own: OwnSlots, nodes: Nodes) -> OpenSlot:
    """Return both ends of a slot that ``source`` is giving away.

    Raises:
        SlotHasMoved: It is not, or the map lacks the node that gets it.
    """
    target = nodes.topology.node_by_id(own.migrating.get(slot, ""))
    if target is None:
        raise SlotHasMoved
    return OpenSlot(slot, source, target)


async def read_keys(open_slot: OpenSlot, nodes: Nodes) -> list[bytes] | Refused:
    """Return every key of the slot once, expired ones included.

    Raises:
        SlotHasMoved: It is not certain that these are all.
        BackendUnavailable: One of the two nodes does not answer.
    """
    ask_keys = Own((b"CLUSTER", b"GETKEYSINSLOT", b"%d" % open_slot.slot, _ALL_KEYS))
    keys: dict[bytes, None] = {}
    for node in (open_slot.source, open_slot.target):
        (frame,) = await nodes.call_many(node, [ask_keys])
        if error_code(frame) is not None:
            return Refused(node, frame)
        keys.update(dict.fromkeys(expect_keys(decode(frame))))
    (frame,) = await nodes.call_many(open_slot.source, [ASK_OWN_SLOTS])
    if error_code(frame) is not None:
        return Refused(open_slot.source, frame)
    own = parse_own_slots(expect_text(decode(frame)))
    if own.migrating.get(open_slot.slot) != open_slot.target.id:
        raise SlotHasMoved
    return list(keys)


async def read_matching_keys(
    open_slot: OpenSlot, options: ScanOptions, nodes: Nodes
) -> list[bytes] | Refused:
    """Return the keys of the slot that exist, match and have the right type.

    Raises:
        SlotHasMoved: It is not certain that these are all.
        BackendUnavailable: One of the two nodes does not answer.
    """
    keys = await read_keys(open_slot, nodes)
    if isinstance(keys, Refused):
        return keys
    return await keep_matching(keys, open_slot.source, open_slot.target, options, nodes)


async def keep_matching(
    keys: list[bytes], source: Node, target: Node | None, options: ScanOptions, nodes: Nodes
) -> list[bytes] | Refused:
    """Return those of ``keys`` that exist, match and have the right type.

    Args:
        keys: All in slots that ``source`` serves.
        source: Who is asked first.
        target: Who has what ``source`` has not; None: their slots are closed.
        options: What the client wants.
        nodes: The cluster.

    Raises:
        SlotHasMoved: Their slots are somewhere else by now.
        BackendUnavailable: One of the two nodes does not answer.
    """
    matches = compile_glob(options.pattern)
    wanted: list[bytes] = []
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = [key for key in keys[start : start + _KEYS_AT_ONCE] if matches(key)]
        types = await _read_types(some, source, target, nodes)
        if isinstance(types, Refused):
            return types
        wanted += [
            key
            for key, name in zip(some, types, strict=True)
            if name != _GONE and options.type_name in {None, name[1:-2].lower()}
        ]
    return wanted


async def _read_types(
    keys: list[bytes], source: Node, target: Node | None, nodes: Nodes
) -> list[bytes] | Refused:
    """Return what TYPE says of each key, as a frame, from the node that has it."""
    if not keys:
        return []
    frames = await nodes.call_many(source, [Own((b"TYPE", key)) for key in keys])
    # The source of an open slot answers ASK for every key of it that it does not have.
    left = [index for index, frame in enumerate(frames) if error_code(frame) == b"ASK"]
    if left and target is not None:
        commands: list[tuple[bytes, ...]] = []
        for index in left:
            commands += [Own((b"ASKING",)), Own((b"TYPE", keys[index]))]
        found = (await nodes.call_many(target, commands))[1::2]
        for index, frame in zip(left, found, strict=True):
            frames[index] = frame
    for index, frame in enumerate(frames):
        match error_code(frame):
            case None:
                continue
            case b"MOVED" | b"ASK" | b"TRYAGAIN":
                raise SlotHasMoved
            case _:
                return Refused(target if target and index in left else source, frame)
    return frames


def expect_text(value: object) -> bytes:
    """Return a decoded bulk string.

    Raises:
        BackendProtocolError: It is something else.
    """
    if not isinstance(value, bytes):
        raise BackendProtocolError(f"not a bulk string: {value!r}")
    return value


def expect_integer(frame: bytes) -> int:
    """Return the value of an integer's frame.

    Raises:
        BackendProtocolError: It is something else.
    """
    value = decode(frame)
    if not isinstance(value, int):
        raise BackendProtocolError(f"not an integer: {frame!r}")
    return value


def expect_keys(value: object) -> list[bytes]:
    """Return a decoded array of bulk strings.

    Raises:
        BackendProtocolError: It is something else.
    """
    if not isinstance(value, list) or not all(isinstance(key, bytes) for key in value):
        raise BackendProtocolError(f"not an array of bulk strings: {value!r}")
    return value
