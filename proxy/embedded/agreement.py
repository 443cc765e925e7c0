"""Does a cluster agree with itself? Each node's own view, compared.

Strategy: every running node is asked for its view; the first difference found
is returned in words, so that a wait that fails says what it was waiting for.

Cost: about 1 ms a node and look.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.cluster.slots import SLOT_COUNT
from proxy.cluster.topology import Topology, parse_cluster_nodes, parse_cluster_state
from proxy.embedded.errors import EmbeddedError
from proxy.embedded.node import RedisNode


def view_of(node: RedisNode) -> Topology:
    """Return the cluster as ``node`` sees it.

    Raises:
        EmbeddedError: It does not answer.
    """
    with node.connect() as connection:
        nodes, info = connection.call_many([("CLUSTER", "NODES"), ("CLUSTER", "INFO")])
    assert isinstance(nodes, bytes)
    assert isinstance(info, bytes)
    return parse_cluster_nodes(nodes, node.address, is_serving=parse_cluster_state(info))


def newest_view(nodes: Sequence[RedisNode]) -> Topology:
    """Return the view with the highest config epoch among the running nodes.

    Raises:
        EmbeddedError: No node is running, or one of them does not answer.
    """
    views = [view_of(node) for node in nodes if node.is_running]
    if not views:
        raise EmbeddedError("no node is running")
    return max(views, key=lambda view: (view.is_serving, view.config_epoch))


def find_disagreement(nodes: Sequence[RedisNode]) -> str | None:
    """Return what the running nodes do not agree on yet, or None if they agree.

    They agree if each says that it serves, knows and reaches all others, gives
    every slot to the same running node, and every replica is linked to its
    primary. Nodes that are dead or frozen are not asked and may be anything.
    """
    running = [node for node in nodes if node.is_running]
    first: tuple[object, ...] | None = None
    for node in running:
        try:
            view = view_of(node)
        except EmbeddedError as problem:
            return str(problem)
        problem_seen = _fault_of(view, running)
        if problem_seen is not None:
            return f"{node.address} {problem_seen}"
        picture = _picture(view, running)
        if first is None:
            first = picture
        elif picture != first:
            return f"{node.address} sees other owners or roles than {running[0].address}"
    return _unlinked_replica(running)


def lagging_replica(nodes: Sequence[RedisNode], offsets: dict[int, int]) -> str | None:
    """Return which running replica has not reached its primary's offset, or None.

    Args:
        nodes: All nodes of the cluster.
        offsets: By port of a primary, the offset its replicas have to reach.
    """
    for node in nodes:
        if not node.is_running:
            continue
        replication = node.info("replication")
        if replication["role"] != "slave":
            continue
        goal = offsets.get(int(replication["master_port"]), 0)
        if int(replication["slave_repl_offset"]) < goal:
            return f"{node.address} has not copied everything yet"
    return None


def primary_offsets(nodes: Sequence[RedisNode]) -> dict[int, int]:
    """Return for each running primary, by port, how far its replication stream has come."""
    offsets: dict[int, int] = {}
    for node in nodes:
        if node.is_running:
            replication = node.info("replication")
            if replication["role"] == "master":
                offsets[node.port] = int(replication["master_repl_offset"])
    return offsets


def _fault_of(view: Topology, running: Sequence[RedisNode]) -> str | None:
    if not view.is_serving:
        return "says cluster_state:fail"
    if view.covered_slots != SLOT_COUNT:
        return f"knows an owner of only {view.covered_slots} slots"
    addresses = {node.address for node in running}
    for address in addresses:
        known = view.node_at(address)
        if known is None:
            return f"does not know {address}"
        if not known.link_up:
            return f"does not reach {address}"
    for primary in view.primaries:
        if primary.address not in addresses:
            return f"gives slots to {primary.address}, which is not running"
    return None


def _picture(view: Topology, running: Sequence[RedisNode]) -> tuple[object, ...]:
    """Return what two views of the same cluster must have in common."""
    roles = {
        node.id: (node.address, node.is_primary, node.primary_id)
        for node in view.nodes
        if any(node.address == other.address for other in running)
    }
    owners = [(first, last, owner.id) for first, last, owner in view.ranges()]
    return roles, owners


def _unlinked_replica(running: Sequence[RedisNode]) -> str | None:
    for node in running:
        try:
            replication = node.info("replication")
        except EmbeddedError as problem:
            return str(problem)
        if replication["role"] == "slave" and replication["master_link_status"] != "up":
            return f"{node.address} is not linked to its primary"
    return None
