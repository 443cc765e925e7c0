"""The doors open: each listening socket goes to the engine, with what comes before requests.

Strategy: a PROXY protocol header first, if whoever connects there sends one; then a TLS
handshake, if the socket is one for TLS; then requests.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

import structlog

from proxy.config import Listen, Tls
from proxy.dataplane.engine import Engine
from proxy.errors import ConfigError
from proxy.listeners import is_public, open_listeners, open_tls_listeners, port_of
from proxy.tls.sides import Guard

log = structlog.get_logger()


class Doors:
    """The sockets that clients connect to; open from the beginning, though nobody is let in.

    Args:
        listen: Where.
        tls: Which of them are for clients that speak TLS.
        guard: Begins their handshakes.
        inherited: Sockets of a process whose place we take.
        inherited_tls: Those of them that are for TLS beside the others.

    Attributes:
        sockets: All of them; those that are for TLS beside the others come last.
        beside: How many of these there are.

    Raises:
        ConfigError: An address cannot be listened on.
    """

    def __init__(
        self,
        listen: Listen,
        tls: Tls,
        guard: Guard,
        inherited: Sequence[socket.socket] = (),
        inherited_tls: Sequence[socket.socket] = (),
    ) -> None:
        self._listen, self._guard = listen, guard
        self.sockets = open_listeners(listen, inherited)
        try:
            self._with_tls = open_tls_listeners(listen, tls, self.sockets, inherited_tls)
        except ConfigError:
            self.close()
            raise
        beside = [each for each in self._with_tls if each not in self.sockets]
        self.sockets, self.beside = [*self.sockets, *beside], len(beside)

    @property
    def port(self) -> int:
        """Where clients connect; 0 if there are only Unix sockets."""
        return port_of(self.sockets)

    @property
    def tls_port(self) -> int:
        """Where clients that speak TLS connect; 0: nowhere."""
        return port_of(self._with_tls)

    def let_in(self, engine: Engine) -> None:
        """Have clients accepted."""
        for listener in self._with_tls:
            engine.secure(listener.fileno(), self._guard)
        for listener in self.sockets:
            is_passed_on = listener.family != socket.AF_UNIX or self._listen.unix_passes_on
            expects_header = self._listen.proxy_protocol == "required" and is_passed_on
            engine.listen(listener.fileno(), expects_header)

    def close(self) -> None:
        """Close all of them; may be called again."""
        for listener in self.sockets:
            listener.close()

    def tell_if_protected(self, *, is_protected: bool) -> None:
        """Tell that other machines are refused, if they could come."""
        if is_protected and is_public(self.sockets):
            log.warning(
                "protected mode, only this machine is served", setting="listen.protected_mode"
            )
