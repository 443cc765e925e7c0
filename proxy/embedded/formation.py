"""Make separate servers one cluster, with CLUSTER commands only.

Strategy: what ``redis-cli --cluster create`` does, in its order: slots and
distinct epochs first, then introductions, then replicas. Every node is
introduced to every other one, so that nothing waits for gossip.

Cost: about 2 s, because a node refuses to serve during its first two seconds
(CLUSTER_WRITABLE_DELAY in the servers' sources).
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.cluster.slots import share_slots
from proxy.embedded.agreement import view_of
from proxy.embedded.errors import ServerRefused
from proxy.embedded.node import RedisNode
from proxy.embedded.waiting import wait_for

MEET_DEADLINE_S = 20.0


def form_cluster(primaries: Sequence[RedisNode], replicas: Sequence[RedisNode]) -> None:
    """Make one cluster of servers that have just been started.

    Args:
        primaries: They get equal shares of the slots, in order.
        replicas: The i-th copies the primary at i modulo the number of primaries.

    Raises:
        EmbeddedError: A node refused, or they did not find each other in time.
    """
    nodes = [*primaries, *replicas]
    for node, (first, last) in zip(primaries, share_slots(len(primaries)), strict=True):
        # ADDSLOTSRANGE is not known before Redis 7.0.
        node.call("CLUSTER", "ADDSLOTS", *range(first, last + 1))
    for index, node in enumerate(nodes):
        # Distinct from the start, so that no node has to yield to another's epoch.
        node.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
    introduce(nodes)
    for index, node in enumerate(replicas):
        replicate(node, primaries[index % len(primaries)])


def introduce(nodes: Sequence[RedisNode]) -> None:
    """Make every node know every other one, and wait until they do.

    Raises:
        NotInTime: They did not find each other.
    """
    for index, node in enumerate(nodes):
        for other in nodes[:index]:
            node.call("CLUSTER", "MEET", other.address.host, other.port)
    for node in nodes:
        wait_for(
            lambda node=node: _knows_all(node, nodes),  # type: ignore[misc]
            MEET_DEADLINE_S,
            f"{node.address} knows all nodes",
        )


def replicate(node: RedisNode, primary: RedisNode) -> None:
    """Make ``node``, which owns no slot, a replica of ``primary``.

    Raises:
        NotInTime: The node kept refusing, as it does while it does not know
            the primary, or takes it for a replica.
    """
    primary_id = primary.call_text("CLUSTER", "MYID")

    def accepts() -> bool:
        try:
            node.call("CLUSTER", "REPLICATE", primary_id)
        except ServerRefused:
            return False
        return True

    wait_for(accepts, MEET_DEADLINE_S, f"{node.address} accepts {primary.address} as its primary")


def _knows_all(node: RedisNode, nodes: Sequence[RedisNode]) -> bool:
    view = view_of(node)
    return all(view.node_at(other.address) is not None for other in nodes)
