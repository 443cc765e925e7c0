"""The TLS handshakes of clients: who has to, how many at a time, how long, how they end."""

import ssl
from collections.abc import Callable

from proxy.dataplane.node_side import NodeSide
from proxy.tls.failures import Handshakes as Counts

class Handshakes(NodeSide):
    """The part of an engine that looks after clients until their TLS stands."""

    handshake_timeout_s: float
    """A client whose handshake takes longer is closed."""

    @property
    def handshakes(self) -> Counts:
        """How the handshakes of clients ended so far."""

    def secure(
        self, fd: int, guard: Callable[[], tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]]
    ) -> None:
        """Have clients of a listening socket speak TLS.

        Args:
            guard: Called for each client; returns an ``ssl.SSLObject`` and the two memories
                that it reads from and writes to.
        """
