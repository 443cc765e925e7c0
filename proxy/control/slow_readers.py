"""Cut those who do not read what is pushed to them, as a server's output limits do.

Strategy: a client that asks for nothing cannot be slowed down, so what it does not
read is kept up to a hard limit, and above a soft one only for a while. Nobody else
waits for it meanwhile. Redis calls this ``client-output-buffer-limit pubsub``.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from proxy.dataplane.client import Client

HARD, SOFT = "pubsub_output_limit_bytes", "pubsub_output_soft_bytes"
REASONS = {
    HARD: "output over limits.pubsub_output_limit_bytes",
    SOFT: "output over limits.pubsub_output_soft_bytes for limits.pubsub_output_soft_s",
}


class SlowReaders:
    """Watches the clients that get what they have not asked for.

    Args:
        close: Closes a client, with a reason for the log.
        note_limit: Counts a limit that was hit, by its name.
        limit_bytes: Close at once above this.
        soft_bytes: Close above this ..
        soft_s: .. for so many seconds without a break.
    """

    def __init__(
        self,
        *,
        close: Callable[[Client, str], object],
        note_limit: Callable[[str], object],
        limit_bytes: int,
        soft_bytes: int,
        soft_s: float,
    ) -> None:
        self._close = close
        self._note_limit = note_limit
        self.limit_bytes = limit_bytes
        self.soft_bytes = soft_bytes
        self.soft_s = soft_s
        self._over_since: dict[Client, float] = {}

    def watch(self, client: Client) -> None:
        """Look at a client that something was just pushed to."""
        waiting = client.output_bytes
        if waiting > self.limit_bytes:
            self._cut(client, HARD)
        elif waiting > self.soft_bytes:
            self._over_since.setdefault(client, trio.current_time())

    def look(self) -> None:
        """Look at those who were over the soft limit."""
        for client, since in list(self._over_since.items()):
            if client.is_closed or client.output_bytes <= self.soft_bytes:
                del self._over_since[client]
            elif trio.current_time() - since > self.soft_s:
                self._cut(client, SOFT)

    def forget(self, client: Client) -> None:
        """Look at a client no more."""
        self._over_since.pop(client, None)

    def _cut(self, client: Client, limit: str) -> None:
        self._over_since.pop(client, None)
        self._note_limit(limit)
        self._close(client, REASONS[limit])
