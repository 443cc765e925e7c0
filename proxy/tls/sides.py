"""The two sides: what wraps clients that come, and connections to nodes that are made.

Strategy: a context can be exchanged while the proxy runs. Whoever makes a connection gets
the one of that moment; connections that are open keep theirs.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from proxy.tls.failures import Handshakes

Wrapped = tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]
"""The TLS of a new connection, and the memories that it reads from and writes to."""


class Guard:
    """Wraps the connections of clients; called for each of them.

    Attributes:
        context: What the next one gets; None before there is one.
    """

    def __init__(self) -> None:
        self.context: ssl.SSLContext | None = None

    def use(self, context: ssl.SSLContext) -> None:
        """Use this from the next connection on."""
        self.context = context

    def __call__(self) -> Wrapped:
        """Wrap a new connection."""
        assert self.context is not None, "use() comes first"
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        return self.context.wrap_bio(incoming, outgoing, server_side=True), incoming, outgoing


@dataclass(frozen=True, slots=True)
class NodeContext:
    """How connections to nodes are made with TLS."""

    context: ssl.SSLContext
    server_name: str = ""
    """Whom their certificates have to be for; empty: the host that is dialled."""


class NodeTls:
    """Wraps the connections to nodes, or does not.

    Args:
        context: None: connections are without TLS.

    Attributes:
        handshakes: How those of all connections ended.
    """

    def __init__(self, context: NodeContext | None = None) -> None:
        self.handshakes = Handshakes()
        self._context = context

    def use(self, context: NodeContext | None) -> None:
        """Use this from the next connection on."""
        self._context = context

    def wrap(self, host: str) -> Wrapped | None:
        """Wrap a new connection; None: it is without TLS."""
        if self._context is None:
            return None
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = self._context.server_name or host
        tls = self._context.context.wrap_bio(incoming, outgoing, server_hostname=name)
        return tls, incoming, outgoing
