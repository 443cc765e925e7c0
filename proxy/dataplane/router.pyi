"""Where each request goes: decisions only, no socket."""

from proxy.dataplane.client import Client
from proxy.dataplane.restraint import Restraint

class Router(Restraint):
    """The part of an engine that knows the tables."""

    node_queue_soft_bytes: int
    """A client is stopped when a node's queue holds more than this."""

    doubtful_scripts: set[bytes]
    """SHA1 (lower case) of scripts that some node may lack: EVALSHA of one is punted."""

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
