"""The sockets that clients connect to; a wrong address is told before anything else begins."""

from __future__ import annotations

import socket

from proxy.config import Listen
from proxy.errors import ConfigError


def open_listeners(listen: Listen) -> list[socket.socket]:
    """Return listening, non-blocking sockets for every address that the setting names.

    Raises:
        ConfigError: One of them cannot be opened.
    """
    try:
        found = socket.getaddrinfo(
            listen.address, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listeners = []
        for family, kind, protocol, _, place in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if listen.tcp_keepalive_s:
                # Accepted sockets inherit these.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, listen.tcp_keepalive_s)
                listener.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, listen.tcp_keepalive_s // 3)
                )
            listener.setblocking(False)
            listener.bind(place)
            listener.listen(listen.backlog)
    except OSError as problem:
        raise ConfigError(
            key="listen.address, listen.port",
            given=f"{listen.address}, {listen.port}",
            allowed=f"an address of this machine and a free port ({problem.strerror})",
        ) from None
    return listeners
