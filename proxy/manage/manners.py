"""The manners in which slots move, and what each costs beside the copying of keys. Pure.

The seconds were measured with three shards on the loopback interface (2 cores, in use).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

CLASSIC_SLOTS, ATOMIC_SLOTS = 50, 500  # in one chunk: what a stop has to wait for


@dataclass(frozen=True, slots=True)
class Manner:
    """One manner."""

    name: str
    slots_at_once: int
    chunk_s: float
    """For each so many slots: marking, telling, waiting until all have heard of it."""


CLASSIC = Manner("classic", CLASSIC_SLOTS, 0.025)
"""MIGRATE, with Redis and Valkey 7.2."""
WAITING = Manner("waiting", CLASSIC_SLOTS, 0.1)
"""MIGRATE, with Valkey from 8: each SETSLOT is answered when the replicas have it."""
ATOMIC = Manner("atomic", ATOMIC_SLOTS, 0.12)
"""CLUSTER MIGRATESLOTS, with Valkey from 9."""

MANNERS = {manner.name: manner for manner in (CLASSIC, WAITING, ATOMIC)}


def manner_of(servers: Iterable[tuple[str, tuple[int, int]]], *, may_be_atomic: bool) -> Manner:
    """Return how slots move between servers.

    Args:
        servers: Engine and version of each.
        may_be_atomic: The servers' own migration is to be used where they have it.
    """
    oldest = min(
        (version if engine == "valkey" else (0, 0) for engine, version in servers), default=(0, 0)
    )
    if oldest >= (9, 0) and may_be_atomic:
        return ATOMIC
    return WAITING if oldest >= (8, 0) else CLASSIC
