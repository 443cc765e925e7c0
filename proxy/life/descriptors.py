"""How many clients the process may have descriptors for.

Strategy: as Redis, the limit of open files is raised as far as the process may, and if
``listen.max_clients`` does not fit under it, fewer clients are let in. What is kept back is
never given to a client, whatever the number of clients: descriptors are given out from the
lowest on, so a client whose descriptor is above the rest is turned away. So connections to
nodes can still be opened when clients are many.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass

import structlog

log = structlog.get_logger()

# Sockets that listen, epoll, logs, libraries and files that are read; Redis keeps 32 for such.
OWN = 32
ADMIN_PORT = 64
# Connections to nodes: a tenth, for they are few beside the clients, and never very few.
NODES_SHARE = 10
NODES_AT_LEAST = 64
# Where the kernel says "no limit"; nobody has so many.
NO_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """What clients may have.

    Attributes:
        clients: How many fit, at most as many as are wanted.
        below: Their descriptors are below this number.
    """

    clients: int
    below: int


def make_room(wanted: int, before: int) -> Room:
    """Raise the limit of open files, and return what it leaves for clients.

    Args:
        wanted: How many clients there may be, by the settings.
        before: How many there might be until now; that is not told again.
    """
    limit = _raise_limit()
    room = room_under(limit, wanted)
    if room.clients < wanted and room.clients != before:
        log.warning(
            "fewer clients than listen.max_clients, for want of open files",
            max_clients=wanted,
            clients=room.clients,
            open_files=limit,
        )
    return room


def room_under(limit: int, wanted: int) -> Room:
    """Return what a limit of open files leaves for clients; at least one."""
    kept = OWN + ADMIN_PORT + max(NODES_AT_LEAST, limit // NODES_SHARE)
    below = max(limit - kept, OWN + 1)
    return Room(clients=max(1, min(wanted, below - OWN)), below=below)


def _raise_limit() -> int:
    """Return the limit of open files, raised as far as the process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (ValueError, OSError):
            pass  # more than the kernel gives one process; what there is has to do
    return NO_LIMIT if soft == resource.RLIM_INFINITY else soft
