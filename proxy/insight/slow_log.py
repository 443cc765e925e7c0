"""The slow log: requests that took long, as the client felt it.

Strategy: a ring of the samples that the data plane hands over, made readable when somebody
looks. Unlike a server's own SLOWLOG, the times here have the way to the node in them, what
waited before it, redirects, and all parts of a split request.

Cost: nothing for a request that is not slow.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from itertools import islice

from proxy.dataplane.sample import Sample
from proxy.insight.views_requests import SlowlogView, SlowRequest

REDIRECTS = frozenset({"moved", "ask"})


class SlowLog:
    """The latest slow requests.

    Args:
        length: How many are kept.
        threshold_ms: Returns from when on a request is slow.
        node_name: Returns the address of a node's number.

    Attributes:
        seen: Slow requests since the start.
    """

    def __init__(
        self, length: int, threshold_ms: Callable[[], float], node_name: Callable[[int], str | None]
    ) -> None:
        self.seen = 0
        self._kept: deque[tuple[int, Sample, str, bytes]] = deque(maxlen=length)
        self._forgotten = 0
        self._threshold_ms = threshold_ms
        self._node_name = node_name

    def resize(self, length: int) -> None:
        """Keep so many from now on."""
        self._kept = deque(self._kept, maxlen=length)

    def add(self, sample: Sample) -> None:
        """Keep a slow request."""
        client = sample.client
        # A client that is gone has no address any more, and its name may change.
        self._kept.append((self.seen, sample, client.address, client.state.name))
        self.seen += 1

    def reset(self) -> None:
        """Forget what is kept."""
        self._kept.clear()
        self._forgotten = self.seen

    def view(self, limit: int | None = None) -> SlowlogView:
        """Return the slow requests that are kept, the newest first."""
        newest = reversed(self._kept) if limit is None else islice(reversed(self._kept), limit)
        return SlowlogView(
            at=time.time(),
            threshold_ms=self._threshold_ms(),
            total=self.seen - self._forgotten,
            entries=tuple(self._entry(*kept) for kept in newest),
        )

    def _entry(self, number: int, sample: Sample, address: str, name: bytes) -> SlowRequest:
        shares = [
            part.answered_s - part.sent_s
            for part in sample.parts
            if part.sent_s is not None and part.answered_s is not None
        ]
        nodes = dict.fromkeys(part.node for part in sample.parts if part.node >= 0)
        kinds = [event.kind for event in sample.events]
        redirects = sum(kind in REDIRECTS for kind in kinds)
        resent = kinds.count("resent")
        return SlowRequest(
            number=number,
            at=sample.began_unix_s,
            took_ms=1000 * sample.duration_s,
            backend_ms=1000 * max(shares) if shares else None,
            command=sample.command,
            args=sample.arguments,
            client=address,
            client_name=name,
            nodes=tuple(found for node in nodes if (found := self._node_name(node)) is not None),
            redirects=redirects if sample.is_sampled else None,
            retries=max(0, resent - redirects) if sample.is_sampled else None,
            error=sample.error.decode("ascii", "backslashreplace"),
        )
