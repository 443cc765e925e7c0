"""How a client's connection ends, so that it can still read what it was told."""

from collections.abc import Mapping

from proxy.dataplane.client import Client
from proxy.dataplane.handshakes import Handshakes

class Leaver:
    """A connection that has been told everything, until it has heard it."""

class Farewell(Handshakes):
    """The part of an engine that sends clients away."""

    leaving_limit: int
    """Connections that may be in ``leaving`` at a time; the next is closed at once."""

    login_timeout_s: float
    """A client that must log in first is closed when it has not for so long; 0: never."""

    @property
    def leaving(self) -> int:
        """Connections that have been told everything and are not closed yet."""

    @property
    def clients(self) -> Mapping[int, Client]:
        """All clients, by id."""

    def drain(self) -> None:
        """Take no more requests; each client is closed when it has what it asked for."""

    def watch_end(self, client: Client, leaves_at_end: bool) -> None:
        """Say whether the client is closed as soon as it sends nothing more.

        Otherwise it is closed when it has what it asked for. A client that blocks
        takes nothing any more once it is gone.
        """

    def expect_login(self, client: Client) -> None:
        """Note that a client has to log in from now on, or need not any more."""

    def close_client(self, client: Client, reason: str = "") -> None:
        """Close a client's connection now; replies it has not read are lost."""
