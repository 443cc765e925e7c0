"""The sockets of clients: accept, read and route, write, close."""

from collections.abc import Callable, Mapping

from proxy.dataplane.client import Client
from proxy.dataplane.lane import Lane
from proxy.dataplane.node_side import NodeSide

class ClientSide(NodeSide):
    """The part of an engine that reads requests and writes replies."""

    max_clients: int
    """Clients at a time; one more is answered with an error and closed."""
    client_output_soft_bytes: int
    """A client is not read while more than this waits for it."""
    client_output_limit_bytes: int
    """A client is closed when more than this waits for it."""

    tap: Callable[[Client, list[bytes]], object] | None
    """Called with each request when it was sent on its way or answered."""

    @property
    def accepted(self) -> int:
        """Clients accepted so far."""

    @property
    def refused_clients(self) -> int:
        """Clients turned away over ``max_clients``."""

    @property
    def clients(self) -> Mapping[int, Client]:
        """All clients, by id."""

    def set_request_limits(
        self,
        *,
        argument_limit: int = ...,
        argument_limit_bytes: int = ...,
        inline_limit_bytes: int = ...,
        request_limit_bytes: int = ...,
    ) -> None:
        """Set the limits of requests; see ``RequestScanner``. Before the first client."""

    def listen(self, fd: int) -> None:
        """Accept clients from a listening, non-blocking socket."""

    def stop_listening(self, fd: int) -> None:
        """Accept no more clients from this socket, if any were; the caller closes it."""

    def drain(self) -> None:
        """Take no more requests; each client is closed when it has what it asked for."""

    def use_lane(self, client: Client, lane: Lane) -> None:
        """Send the client's further requests on another lane; it has none in flight."""

    def watch_end(self, client: Client, leaves_at_end: bool) -> None:
        """Say whether the client is closed as soon as it sends nothing more.

        Otherwise it is closed when it has what it asked for. A client that blocks
        takes nothing any more once it is gone.
        """

    def push(self, client: Client, frame: bytes) -> None:
        """Write a frame that answers no request, behind all replies that have come so far.

        One that waits for an earlier reply is not overtaken, nor is a split command of which
        a part has come: a client that keeps what it read must hear later that it has changed.
        """

    def resume(self, client: Client) -> None:
        """Let a client go on whose state a hook has changed."""

    def close_client(self, client: Client, reason: str = "") -> None:
        """Close a client's connection now; replies it has not read are lost."""
