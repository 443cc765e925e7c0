"""The door: who comes in, what of a client is watched, when it is closed."""

from collections.abc import Mapping

from proxy.dataplane.client import Client
from proxy.dataplane.node_side import NodeSide

class Doorway(NodeSide):
    """The part of an engine that lets clients in and sends them away."""

    max_clients: int
    """Clients at a time; one more is answered with an error and closed."""
    client_output_soft_bytes: int
    """A client is not read while more than this waits for it."""

    @property
    def accepted(self) -> int:
        """Clients accepted so far."""

    @property
    def refused_clients(self) -> int:
        """Clients turned away over ``max_clients``."""

    @property
    def clients(self) -> Mapping[int, Client]:
        """All clients, by id."""

    def listen(self, fd: int) -> None:
        """Accept clients from a listening, non-blocking socket."""

    def stop_listening(self, fd: int) -> None:
        """Accept no more clients from this socket, if any were; the caller closes it."""

    def drain(self) -> None:
        """Take no more requests; each client is closed when it has what it asked for."""

    def watch_end(self, client: Client, leaves_at_end: bool) -> None:
        """Say whether the client is closed as soon as it sends nothing more.

        Otherwise it is closed when it has what it asked for. A client that blocks
        takes nothing any more once it is gone.
        """

    def close_client(self, client: Client, reason: str = "") -> None:
        """Close a client's connection now; replies it has not read are lost."""
