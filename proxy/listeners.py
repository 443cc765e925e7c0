"""The sockets that clients connect to; a wrong address is told before anything else begins.

Strategy: sockets that a service manager has opened and passes on (systemd's socket
activation), or an older slotway whose place we take, are used as they are; else they are
opened here. A passed socket outlives the
process: who connects while none runs waits in the kernel, and the next one answers.

Source: ``sd_listen_fds(3)``. The descriptors begin at 3; ``LISTEN_FDS`` is how many,
``LISTEN_PID`` whom they are for.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, MutableMapping, Sequence

from proxy.config import Listen, Tls
from proxy.control.entrance import is_loopback
from proxy.errors import ConfigError
from proxy.unix_listener import UnixListener

FIRST_PASSED = 3
_PASSING = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def open_listeners(listen: Listen, inherited: Sequence[socket.socket] = ()) -> list[socket.socket]:
    """Return listening, non-blocking sockets: those passed to us, else those of the settings.

    Args:
        listen: What is to be opened, if nothing was passed.
        inherited: Sockets of a process whose place we take.

    Raises:
        ConfigError: One of them cannot be opened, or what was passed is no listening socket.
    """
    passed = list(inherited) or take_passed(os.environ)
    if not passed:
        return _open_all(listen)
    for listener in passed:
        _set_keepalive(listener, listen.tcp_keepalive_s)
    return passed


def open_tls_listeners(
    listen: Listen,
    tls: Tls,
    listeners: Sequence[socket.socket],
    inherited: Sequence[socket.socket] = (),
) -> list[socket.socket]:
    """Return the sockets whose clients speak TLS: some of ``listeners``, or others.

    Args:
        inherited: Those of a process whose place we take that were for TLS beside others;
            closed if there is to be no such port any more.

    Raises:
        ConfigError: One of them cannot be opened, there are only Unix sockets, or both ports
            are the same.
    """
    if tls.mode != "beside":
        for listener in inherited:
            listener.close()
    if tls.mode == "off":
        return []
    over_tcp = [listener for listener in listeners if listener.family != socket.AF_UNIX]
    if not over_tcp:
        raise ConfigError(
            key="tls.mode",
            given=f"{tls.mode!r} without a TCP port",
            allowed='"off", or an address in listen.address: Unix sockets are without TLS',
        )
    if tls.mode == "only":
        return over_tcp
    passed = [each for each in over_tcp if tls.port and each.getsockname()[1] == tls.port]
    if len(passed) == len(over_tcp) and tls.port == listen.port:
        raise ConfigError(key="tls.port", given=str(tls.port), allowed="not that of listen.port")
    return passed or list(inherited) or _open(listen, tls.port, "tls.port")


def take_passed(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the sockets that whoever started us has passed; none if there are none.

    Args:
        environment: What tells of them is removed, so that no child of ours takes them too.

    Raises:
        ConfigError: One of them is not a listening stream socket.
    """
    pid, count, _ = (environment.pop(name, "") for name in _PASSING)
    if not count or pid != str(os.getpid()):
        return []
    listeners = []
    try:
        for descriptor in range(FIRST_PASSED, FIRST_PASSED + int(count)):
            os.set_inheritable(descriptor, False)
            listener = socket.socket(fileno=descriptor)
            listeners.append(listener)
            if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                raise ValueError("it does not listen")
            if listener.type != socket.SOCK_STREAM:
                raise ValueError("not a stream socket")
            listener.setblocking(False)
    except (OSError, ValueError) as problem:
        raise ConfigError(
            key="LISTEN_FDS",
            given=f"{count}, of which one cannot be used ({problem})",
            allowed="listening stream sockets only",
        ) from None
    return listeners


def port_of(listeners: Iterable[socket.socket]) -> int:
    """Return the port clients connect to; 0 if there are only Unix sockets."""
    return next((s.getsockname()[1] for s in listeners if s.family != socket.AF_UNIX), 0)


def is_public(listeners: Iterable[socket.socket]) -> bool:
    """Return whether other machines may reach one of them."""
    return any(
        listener.family != socket.AF_UNIX and not is_loopback(listener.getsockname()[0])
        for listener in listeners
    )


def _open_all(listen: Listen) -> list[socket.socket]:
    unix: list[socket.socket] = [UnixListener.open(listen)] if listen.unix_socket else []
    try:
        return [*(_open(listen, listen.port, "listen.port") if listen.address else []), *unix]
    except ConfigError:
        for listener in unix:
            listener.close()
        raise


def _open(listen: Listen, port: int, key: str) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(
            listen.address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listeners = []
        for family, kind, protocol, _, place in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if listen.reuse_port:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _set_keepalive(listener, listen.tcp_keepalive_s)
            listener.setblocking(False)
            listener.bind(place)
            listener.listen(listen.backlog)
    except OSError as problem:
        raise ConfigError(
            key=f"listen.address, {key}",
            given=f"{listen.address}, {port}",
            allowed=f"an address of this machine and a free port ({problem.strerror})",
        ) from None
    return listeners


def _set_keepalive(listener: socket.socket, seconds: int) -> None:
    """Let accepted sockets inherit it from the listening one."""
    if not seconds or listener.family == socket.AF_UNIX:
        return
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // 3))
