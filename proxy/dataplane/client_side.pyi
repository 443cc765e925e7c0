"""What clients send and get: read and route, write."""

from collections.abc import Callable

from proxy.dataplane.client import Client
from proxy.dataplane.doorway import Doorway
from proxy.dataplane.lane import Lane

class ClientSide(Doorway):
    """The part of an engine that reads requests and writes replies."""

    client_output_limit_bytes: int
    """A client is closed when more than this waits for it."""

    client_output_soft_s: float
    """A client is closed when more than ``client_output_soft_bytes`` wait for so long; 0: never."""

    tap: Callable[[Client, list[bytes]], object] | None
    """Called with each request when it was sent on its way or answered."""

    def set_request_limits(
        self,
        *,
        argument_limit: int = ...,
        argument_limit_bytes: int = ...,
        inline_limit_bytes: int = ...,
        request_limit_bytes: int = ...,
    ) -> None:
        """Set the limits of requests; see ``RequestScanner``. Before the first client."""

    def use_lane(self, client: Client, lane: Lane) -> None:
        """Send the client's further requests on another lane; it has none in flight."""

    def push(self, client: Client, frame: bytes) -> None:
        """Write a frame that answers no request, behind all replies that have come so far.

        One that waits for an earlier reply is not overtaken, nor is a split command of which
        a part has come: a client that keeps what it read must hear later that it has changed.
        """

    def resume(self, client: Client) -> None:
        """Let a client go on whose state a hook has changed."""
