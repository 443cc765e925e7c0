"""Lease TCP ports, so that clusters started at the same time never want the same one.

Strategy: a port belongs to whoever holds the lock on a small file named after
it; the kernel drops the lock when its process dies, however it dies. A leased
port is also tried, because others listen without asking us.

Ports are taken from 11000 to 20999: below the range from which Linux takes the
ports of outgoing connections (32768 and up), and so that the cluster bus, 10000
higher, never meets another node's port.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from proxy.embedded.errors import EmbeddedError

FIRST_PORT, LAST_PORT = 11000, 20999
BUS_OFFSET = 10000  # fixed by Redis Cluster, unless cluster-port says otherwise
LOOPBACK = "127.0.0.1"


class PortLease:
    """Ports nobody else of this user will be given until ``release``."""

    def __init__(self, locks: dict[int, int]) -> None:
        self._locks = locks  # port to the file descriptor that holds its lock
        self.ports = tuple(locks)

    def release(self) -> None:
        """Give the ports back. May be called again."""
        while self._locks:
            _, descriptor = self._locks.popitem()
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def lease_ports(count: int) -> PortLease:
    """Lease ``count`` ports of the loopback interface, each with its cluster bus port.

    Raises:
        EmbeddedError: There are not that many left.
    """
    directory = Path(tempfile.gettempdir()) / f"slotway-ports-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    span = LAST_PORT - FIRST_PORT + 1
    start = random.randrange(span)  # two processes seldom walk over each other's locks
    lease: dict[int, int] = {}
    try:
        for step in range(span):
            if len(lease) == count:
                break
            port = FIRST_PORT + (start + step) % span
            descriptor = _lock(directory / f"{port}.lock")
            if descriptor is None:
                continue
            if is_port_free(port) and is_port_free(port + BUS_OFFSET):
                lease[port] = descriptor
            else:
                os.close(descriptor)
    except BaseException:
        PortLease(lease).release()
        raise
    if len(lease) < count:
        PortLease(lease).release()
        raise EmbeddedError(f"no {count} free ports from {FIRST_PORT} to {LAST_PORT}")
    return PortLease(lease)


def first_free_port(wanted: int) -> int:
    """Return ``wanted``, or the next port above it that nobody listens on.

    Raises:
        EmbeddedError: All of the hundred ports from ``wanted`` on are in use.
    """
    for port in range(wanted, min(wanted + 100, 65536)):
        if is_port_free(port):
            return port
    raise EmbeddedError(f"the hundred ports from {wanted} on are all in use")


def is_port_free(port: int) -> bool:
    """Return whether a server could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        # As servers do: closed connections in TIME_WAIT do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _lock(path: Path) -> int | None:
    """Return a file descriptor that holds the lock, or None if somebody else does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
