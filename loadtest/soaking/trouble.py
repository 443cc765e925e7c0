"""What happens to the cluster during a soak: failovers, and slots that move there and back.

Strategy: each in a thread of its own, while clients go on. The first shard is spared (see
``repertoire.CALM_TAG``).
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from types import TracebackType
from typing import Self

from proxy.embedded import EmbeddedCluster, wait_for

SECOND_SHARD, THIRD_SHARD = 8000, 14000  # slots that stay where they are
DEADLINE_S = 30.0
MOVED = range(10_000, 10_200)


class Trouble:
    """Troubles in turn, one at a time; a context manager that waits for the last one."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self._cluster = cluster
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None
        self._next = cycle(
            [
                ("failover", lambda: self._fail_over(SECOND_SHARD)),
                ("slots move", lambda: self._move(SECOND_SHARD, THIRD_SHARD)),
                ("failover", lambda: self._fail_over(THIRD_SHARD)),
                ("slots move", lambda: self._move(THIRD_SHARD, SECOND_SHARD)),
            ]
        )

    def begin(self) -> str:
        """Begin the next one, and return its name."""
        name, make = next(self._next)
        self._running = self._thread.submit(make)
        return name

    def is_over(self) -> bool:
        """Whether the cluster is whole.

        Raises:
            EmbeddedError: It could not be done.
        """
        if self._running is not None and self._running.done():
            self._running.result()
            self._running = None
        return self._running is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown()

    def _fail_over(self, slot: int) -> None:
        (replica,) = self._cluster.replicas_of(self._cluster.primary_for(slot))
        replica.call("CLUSTER", "FAILOVER")
        wait_for(
            lambda: self._cluster.primary_for(slot) is replica,
            DEADLINE_S,
            f"{replica} to take over",
        )
        self._cluster.wait_until_agreed()

    def _move(self, source: int, target: int) -> None:
        self._cluster.move_slots(
            MOVED, self._cluster.primary_for(source), self._cluster.primary_for(target)
        )
        self._cluster.wait_until_agreed()
