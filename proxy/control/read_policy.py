"""Which nodes answer reads: pure, from what is known of them to the table's rows.

Strategy: a replica counts only while it is of use: reachable, its link to the primary up, and
not further behind than allowed. How far behind it is, is measured without clocks of others:
the primary's offset is noted again and again with our own time, and a replica that has
reached an offset is as old as the moment the primary was last seen at it.

``nearest`` is the own availability zone where there is one, else the fastest by smoothed
round trip; a favourite stays until another is clearly faster, so that reads do not swing to
and fro between two that are alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

# Another node has to be faster by this share and this time to become the nearest.
CLEARLY = 0.8  # chosen
CLEARLY_S = 0.0001  # chosen: a round trip inside a data centre
OFFSETS_KEPT = 120


class ReadFrom(StrEnum):
    """Who answers a client's reads."""

    PRIMARY = "primary"
    PREFER_REPLICA = "prefer_replica"
    """A replica; the primary if there is none of use."""
    REPLICA = "replica"
    """A replica; nobody else."""
    NEAREST = "nearest"
    """Primary or replica, whichever is nearest."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that may answer reads."""

    number: int
    zone: str | None = None
    rtt_s: float | None = None


@dataclass(frozen=True, slots=True)
class Readers:
    """Who answers the reads of one shard."""

    is_strict: bool
    """The primary is not to be asked, unless it is one of ``nodes``."""
    nodes: tuple[int, ...]


DEFAULT_USER = b"default"


@dataclass(frozen=True, slots=True)
class ReadersOf:
    """Who answers the reads of which user."""

    policy: ReadFrom = ReadFrom.PRIMARY
    users: Mapping[bytes, ReadFrom] = field(default_factory=dict)
    """Those for whom it is otherwise."""

    def of(self, user: bytes) -> ReadFrom:
        """Return one user's policy."""
        return self.users.get(user, self.policy)

    @property
    def policies(self) -> frozenset[ReadFrom]:
        """All that somebody has."""
        return frozenset({self.policy, *self.users.values()})


@dataclass(slots=True)
class Offsets:
    """How far a primary has written, and when."""

    _seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=OFFSETS_KEPT))

    def note(self, now: float, offset: int) -> None:
        """Note a primary's offset; one that falls is of another history."""
        if self._seen and offset < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, offset))

    def lag_s(self, now: float, offset: int) -> float | None:
        """Return how old a replica at ``offset`` is, in seconds; None: nobody can tell.

        0 if it has all that the primary was last seen to have.
        """
        if not self._seen:
            return None
        if offset >= self._seen[-1][1]:
            return 0.0
        for seen_at, written in reversed(self._seen):
            if written <= offset:
                return now - seen_at
        return now - self._seen[0][0]


def choose(
    policy: ReadFrom,
    primary: Candidate | None,
    replicas: Sequence[Candidate],
    *,
    zone: str = "",
    favourite: int | None = None,
) -> Readers | None:
    """Return who answers the reads of one shard; None: its primary, as if there were no policy.

    Args:
        primary: None: it is down.
        replicas: Those of use.
        zone: Our own availability zone; empty: not known.
        favourite: Who was nearest by round trip so far.
    """
    is_down = primary is None
    match policy:
        case ReadFrom.PRIMARY:
            return None
        case ReadFrom.REPLICA:
            return Readers(True, _numbers(replicas))
        case ReadFrom.PREFER_REPLICA:
            return Readers(is_down, _numbers(replicas)) if replicas else None
        case ReadFrom.NEAREST:
            known = [*([primary] if primary else []), *replicas]
            return Readers(is_down, _nearest(known, zone, favourite)) if known else None


def _nearest(known: Sequence[Candidate], zone: str, favourite: int | None) -> tuple[int, ...]:
    here = [each for each in known if zone and each.zone == zone]
    if here:
        return _numbers(here)
    timed = [(each.rtt_s, each.number) for each in known if each.rtt_s is not None]
    if not timed:
        return (known[0].number,)
    best_s, best = min(timed)
    for rtt_s, number in timed:
        if number == favourite and (best_s > rtt_s * CLEARLY or best_s > rtt_s - CLEARLY_S):
            return (number,)
    return (best,)


def _numbers(candidates: Sequence[Candidate]) -> tuple[int, ...]:
    return tuple(each.number for each in candidates)
