"""The door: who comes in."""

from proxy.dataplane.farewell import Farewell

class Doorway(Farewell):
    """The part of an engine that lets clients in."""

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

    def listen(self, fd: int) -> None:
        """Accept clients from a listening, non-blocking socket."""

    def stop_listening(self, fd: int) -> None:
        """Accept no more clients from this socket, if any were; the caller closes it."""
