"""What can be wrong with a history."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Each is a promise that was broken."""

    ORDER = "order"
    """A reply that does not fit its request, or that nobody asked for."""
    FOREIGN = "foreign"
    """A value that belongs to another client, or that nobody wrote."""
    SEQUENCE = "sequence"
    """An effect out of its client's order, or older than was acknowledged before."""
    ATOMICITY = "atomicity"
    """Half of a transaction."""
    GHOST = "ghost"
    """A command took effect that was said not to have run."""
    LOST = "lost"
    """What was acknowledged is gone, and nothing explains it."""
    DOUBLED = "doubled"
    """What was asked once has taken effect twice."""
    STUCK = "stuck"
    """Neither a reply nor the end of the connection."""
    CLOSED = "closed"
    """A connection ended that should not have."""
    ERROR = "error"
    """An error that is not documented for this fault."""


WRONG = (Kind.ORDER, Kind.FOREIGN, Kind.SEQUENCE, Kind.ATOMICITY, Kind.GHOST)
"""What a reader of the report calls a wrong answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, with whom, and how."""

    kind: Kind
    client: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.client}: {self.text}"
