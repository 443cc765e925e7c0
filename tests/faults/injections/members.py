"""The nodes of a cluster are replaced, all of them, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trial import FAULT_DEADLINE_S, Scene

from proxy.embedded import EmbeddedCluster, RedisNode, wait_for


@contextmanager
def all_replaced(scene: Scene) -> Iterator[None]:
    """Replace each node by a fresh one: hand over, join, copy, forget."""
    for node in scene.cluster.nodes:
        _replace(scene.cluster, node)
    yield
    scene.heal()


def _replace(cluster: EmbeddedCluster, node: RedisNode) -> None:
    if node in cluster.primaries():
        successor = cluster.replicas_of(node)[0]
        successor.call("CLUSTER", "FAILOVER")
        wait_for(
            lambda: successor in cluster.primaries() and node not in cluster.primaries(),
            FAULT_DEADLINE_S,
            f"{successor} in the place of {node}",
        )
        cluster.wait_until_agreed(FAULT_DEADLINE_S)
    primary = next(one for one in cluster.primaries() if node in cluster.replicas_of(one))
    cluster.add_node(replica_of=primary)
    cluster.wait_until_in_sync(FAULT_DEADLINE_S)
    cluster.remove_node(node)
    cluster.wait_until_agreed(FAULT_DEADLINE_S)
