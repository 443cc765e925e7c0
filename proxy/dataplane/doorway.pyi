"""The door: who comes in."""

from proxy.dataplane.farewell import Farewell

class Newcomer:
    """A connection whose header is not whole yet."""

class Doorway(Farewell):
    """The part of an engine that lets clients in."""

    max_clients: int
    """Clients at a time; one more is answered with an error and closed."""
    client_fd_limit: int
    """A connection with this descriptor or a higher one is turned away: they are for others."""
    client_output_soft_bytes: int
    """A client is not read while more than this waits for it."""

    header_timeout_s: float
    """A connection whose PROXY protocol header takes longer is closed."""

    @property
    def accepted(self) -> int:
        """Clients accepted so far."""

    @property
    def refused_clients(self) -> int:
        """Clients turned away over ``max_clients`` or ``client_fd_limit``."""

    def listen(self, fd: int, expects_header: bool = False) -> None:
        """Accept clients from a listening, non-blocking socket.

        Args:
            expects_header: Each connection begins with a PROXY protocol header.
        """

    def stop_listening(self, fd: int) -> None:
        """Accept no more clients from this socket, if any were; the caller closes it."""
