"""The socket of the admin port; a wrong address is told before anything else begins.

Nothing of HTTP is loaded here, so that it costs nothing where there is no admin port.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from proxy.config import Admin
from proxy.errors import ConfigError

BACKLOG = 64
# A client that does not take its answer is given up by the kernel after so long.
UNREAD_MS = 10_000


def open_admin_listeners(admin: Admin) -> list[socket.socket]:
    """Return listening, non-blocking sockets for every address that the setting names.

    Raises:
        ConfigError: One of them cannot be opened.
    """
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            admin.address, admin.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, place in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Accepted sockets inherit it.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
            listener.setblocking(False)
            listener.bind(place)
            listener.listen(BACKLOG)
    except OSError as problem:
        for listener in listeners:
            listener.close()
        raise ConfigError(
            key="admin.address, admin.port",
            given=f"{admin.address}, {admin.port}",
            allowed=(
                f"an address of this machine and a free port ({problem.strerror}),"
                " or admin.enabled = false"
            ),
        ) from None
    return listeners


def only_from_here(listeners: Iterable[socket.socket]) -> bool:
    """Return whether nobody but this machine (or pod) can connect."""
    return all(
        ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback
        for listener in listeners
    )
