"""Where each request goes: decisions only, no socket."""

from collections.abc import Callable

from proxy.dataplane.client import Client
from proxy.dataplane.lane import Lane
from proxy.dataplane.recovery import Recovery

class Router(Recovery):
    """The part of an engine that knows the tables."""

    request_timeout_s: float
    """A request is given up this long after it came."""
    node_queue_soft_bytes: int
    """A client is stopped when a node's queue holds more than this."""

    doubtful_scripts: set[bytes]
    """SHA1 (lower case) of scripts that some node may lack: EVALSHA of one is punted."""

    @property
    def requests(self) -> int:
        """Requests of clients so far."""

    @property
    def punts(self) -> int:
        """Requests that left the hot road."""

    @property
    def splits(self) -> int:
        """Requests that were split."""

    @property
    def parts(self) -> int:
        """Parts they were split into."""

    def finish_punt(self, client: Client, reply: bytes) -> None:
        """Answer the request that ``punt`` left open; nothing happens if the client is gone."""

    def forward_punt(
        self, client: Client, frame: bytes, slot: int, is_write: bool, replies: int = 1
    ) -> None:
        """Send the request that ``punt`` left open to the node of ``slot`` after all.

        Args:
            slot: NO_SLOT (-1) for any primary.
            replies: How many commands ``frame`` holds, if it is a block (MULTI ... EXEC)
                of which all or nothing runs. The client gets the last reply.
        """

    def ask(
        self,
        lane: Lane,
        frame: bytes,
        on_done: Callable[[bytes], object],
        slot: int = -1,
        is_write: bool = True,
        replies: int = 1,
        timeout_s: float | None = None,
        number: int = 0,
    ) -> Client:
        """Send a request of the proxy's own as if a client had: routed, redirected, patient.

        Args:
            on_done: Called once, inside a tick, with the reply frame; of a block with all
                reply frames in a row, or with one error frame if it did not run or its
                outcome is unknown.
            slot: NO_SLOT (-1) for any primary.
            replies: As of ``forward_punt``.
            timeout_s: Other than ``request_timeout_s``.
            number: Picks connection and primary where there are several, as a client's id does.

        Returns:
            A token for ``forget``.
        """

    def forget(self, asker: Client) -> None:
        """Take no interest any more in a request of ``ask``; it may run nevertheless."""
