"""Slots move to another shard under load, by ``slotway cluster``'s own hands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from trial import Scene

from proxy.manage import ClusterManager, MoveOptions

SLOTS = 4000


def resharded(method: str) -> Callable[[Scene], AbstractContextManager[None]]:
    """Return the fault of 4,000 slots that move to another primary, and back again.

    Args:
        method: ``classic`` (MIGRATE) or ``atomic`` (Valkey 9).
    """

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        source = str(scene.victim.address)
        target = next(
            str(node.address) for node in scene.cluster.primaries() if node is not scene.victim
        )
        options = MoveOptions(method=method)
        with ClusterManager([scene.victim.address]) as manager:
            manager.move(manager.plan_reshard([source], target, SLOTS), options)
            yield
            manager.move(manager.plan_rebalance(), options)
        scene.heal()

    return inject
