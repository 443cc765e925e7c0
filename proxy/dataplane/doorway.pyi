"""The door: who comes in."""

from proxy.dataplane.client import Client
from proxy.dataplane.farewell import Farewell

class Newcomer:
    """A connection whose header is not whole yet."""

class Doorway(Farewell):
    """The part of an engine that lets clients in."""

    max_clients: int
    """Clients at a time, without ``reserved_clients``; one more gets an error and is closed."""
    reserved_clients: int
    """Clients beyond ``max_clients``, who have to turn out to be administrators."""
    extra_login_s: float
    """How long these have for it."""
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

    def keep_extra(self, client: Client) -> None:
        """Let a client stay that is over ``max_clients``: it is an administrator."""

    def refuse_extra(self, client: Client) -> bytes:
        """Close a client that is over ``max_clients``, and return what it is told."""
