"""What all connections of a lane have in common: how one kind of client reaches the nodes."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.control.connection import Credentials
from proxy.control.read_policy import ReadFrom
from proxy.dataplane.lane import Lane


@dataclass(frozen=True, slots=True)
class LaneKey:
    """What all connections of a lane have in common; clients of the same key share it."""

    resp: int
    """Protocol version, 2 or 3."""
    credentials: Credentials | None = None
    """Whose rights they have; None: the proxy's own."""
    database: int = 0
    """What SELECT was told."""
    setup: tuple[tuple[bytes, ...], ...] = ()
    """Commands run on each of them before anything else."""
    reads: ReadFrom = ReadFrom.PRIMARY
    """Who answers the clients' reads."""

    @property
    def is_own(self) -> bool:
        """Whether they are what the proxy's own are, which a node may only refuse for a while."""
        return self.credentials is None and not self.database and not self.setup


def key_of(lane: Lane) -> LaneKey:
    """Return what a lane's connections are."""
    assert isinstance(lane.key, LaneKey)
    return lane.key
