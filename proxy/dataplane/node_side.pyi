"""The sockets that lead to nodes: requests out, replies in."""

from proxy.dataplane.cipher import Cipher
from proxy.dataplane.lane import Pipeline
from proxy.dataplane.sockets import Sockets

class NodeSide(Sockets):
    """The part of an engine that writes requests and reads replies."""

    node_in_flight_limit: int
    """Clients' requests on one connection at a time, written and not answered; 0: any number."""
    reply_limit_bytes: int
    """A longer reply of a node is replaced by an error."""

    @property
    def pushes_dropped(self) -> int:
        """Push frames of nodes that nobody had asked for."""

    def attach(self, pipeline: Pipeline, fd: int, cipher: Cipher | None = None) -> None:
        """Give a pipeline its connection: connected, authenticated, non-blocking.

        The engine owns ``fd`` from here on, and closes it.

        Args:
            cipher: Its TLS, with the handshake done; None: it has none.
        """

    def drop(self, pipeline: Pipeline) -> None:
        """Close a pipeline's connection; what was on it is sent again or answered."""
