"""What clients get: written once a tick, kept while they do not read, up to a limit."""

from proxy.dataplane.client import Client
from proxy.dataplane.doorway import Doorway

class ClientOutput(Doorway):
    """The part of an engine that writes replies."""

    client_output_limit_bytes: int
    """A client is closed when more than this waits for it."""

    client_output_soft_s: float
    """A client is closed when more than ``client_output_soft_bytes`` wait for so long; 0: never."""

    def push(self, client: Client, frame: bytes) -> None:
        """Write a frame that answers no request, behind all replies that have come so far.

        One that waits for an earlier reply is not overtaken, nor is a split command of which
        a part has come: a client that keeps what it read must hear later that it has changed.
        """
