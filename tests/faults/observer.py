"""When a slot was served, seen from two sides: at the nodes themselves, and through the proxy.

Strategy: two threads write the same key again and again. One knows all nodes and tries each in
turn, as a patient cluster client does that forgets nothing; the other has one plain connection
to the proxy. How long neither of two successful writes lies within is the time without service;
the first's is what the cluster itself needed, the second's what clients had.

Cost: a write every 5 ms each. A node that is silent is given up after 0.25 s, so the
cluster's own time is known that well.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import TracebackType
from typing import Self

from proxy.cluster.topology import Address
from proxy.embedded import EmbeddedError, NodeConnection, ServerRefused, wait_for

PAUSE_S = 0.005
SILENCE_S = 0.25
PROXY_SILENCE_S = 45.0  # longer than its patience


class Road(ABC):
    """One way to the slot."""

    def __init__(self) -> None:
        self.served_at: list[float] = []

    def run(self, stopping: threading.Event) -> None:
        """Write until ``stopping``, and note each success."""
        while not stopping.is_set():
            if self.write():
                self.served_at.append(time.monotonic())
            stopping.wait(PAUSE_S)
        self.close()

    def gap_s(self, from_s: float) -> float:
        """Return the longest time without service since the last success before ``from_s``."""
        before = max((at for at in self.served_at if at <= from_s), default=from_s)
        times = [before, *(at for at in self.served_at if at > from_s)]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    @abstractmethod
    def write(self) -> bool:
        """Try once; return whether the slot was served."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all connections."""


class Direct(Road):
    """To the nodes, whichever has the slot."""

    def __init__(self, addresses: Callable[[], Sequence[Address]], key: bytes) -> None:
        super().__init__()
        self._addresses = addresses
        self._key = key
        self._connections: dict[Address, NodeConnection] = {}
        self._favourite: Address | None = None

    def write(self) -> bool:
        words = ("SET", self._key, "observed")
        addresses = sorted(self._addresses(), key=lambda address: address != self._favourite)
        is_moving = False
        for address in addresses:
            answer = self._try(address, words)
            if answer == "":
                self._favourite = address
                return True
            is_moving |= " ASK " in (answer or "")
        # Only then: ASKING, a node that is about to have the slot takes a key that is elsewhere.
        return is_moving and any(self._try(at, ("ASKING",), words) == "" for at in addresses)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def _try(self, address: Address, *commands: tuple[bytes | str, ...]) -> str | None:
        """Return a refusal; empty: it was done; None: no answer."""
        try:
            connection = self._connections.get(address)
            if connection is None:
                connection = NodeConnection(address, timeout_s=SILENCE_S)
                self._connections[address] = connection
            connection.call_many(commands)
        except ServerRefused as refusal:
            return str(refusal)
        except EmbeddedError:
            dead = self._connections.pop(address, None)
            if dead is not None:
                dead.close()
            return None
        return ""


class Through(Road):
    """Through the proxy, on a connection that is opened again when it has ended."""

    def __init__(self, address: Address, key: bytes) -> None:
        super().__init__()
        self._address = address
        self._key = key
        self._connection: NodeConnection | None = None

    def write(self) -> bool:
        try:
            if self._connection is None:
                self._connection = NodeConnection(self._address, timeout_s=PROXY_SILENCE_S)
            self._connection.call("SET", self._key, "observed")
        except ServerRefused:
            return False
        except EmbeddedError:
            self.close()
            return False
        return True

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Observer:
    """Both roads to one key; a context manager."""

    def __init__(self, nodes: Callable[[], Sequence[Address]], proxy: Address, key: bytes) -> None:
        """Watch the slot of ``key``.

        Args:
            nodes: Says where the nodes are now.
            proxy: Where the proxy listens.
            key: Nobody else's, in the shard that is about to break.
        """
        # A key each: the two are not to wait for one another.
        self.direct = Direct(nodes, key + b":direct")
        self.through = Through(proxy, key + b":through")
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=road.run, args=(self._stopping,))
            for road in (self.direct, self.through)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def wait_for_service(self, deadline_s: float) -> None:
        """Wait until both roads have served once more."""
        goals = [(road, len(road.served_at)) for road in (self.direct, self.through)]
        wait_for(
            lambda: all(len(road.served_at) > goal for road, goal in goals), deadline_s, "service"
        )
