"""The table ``[reads]``: which nodes answer reads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, field_validator

from proxy.config.values import Pairs, Table
from proxy.control.read_policy import ReadersOf, ReadFrom

POLICIES = ", ".join(ReadFrom)


class Reads(Table):
    """Who answers commands that only read; whoever is not the primary may be behind it."""

    policy: Literal["primary", "prefer_replica", "replica", "nearest"] = "primary"
    """Primary only; a replica if there is one of use; a replica only; or the nearest of all."""
    users: Pairs = Field(default_factory=dict)
    """Users for whom it is otherwise, like analytics = "replica"."""
    zone: str = ""
    """Availability zone of this proxy, for "nearest"; empty: the fastest node is the nearest."""
    zones: Pairs = Field(default_factory=dict)
    """Host or host:port of nodes to their zone; others are asked (Valkey's availability-zone)."""
    max_lag_s: NonNegativeFloat = 10.0
    """A replica that is further behind its primary answers no reads; 0: any whose link is up."""
    fallback_s: NonNegativeFloat = 0.0
    """While a primary is down, its replicas answer all reads, for so long; 0 never."""
    hedge_after_ms: NonNegativeFloat = 0.0
    """Ask a second node when a read has no reply for so long; the first reply counts; 0 never."""
    hedge_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    """At most this share of the requests is asked twice."""

    @field_validator("users")
    @classmethod
    def _users_have_policies(cls, users: dict[str, str]) -> dict[str, str]:
        for name, policy in users.items():
            if policy not in list(ReadFrom):
                raise ValueError(f"for {name}: one of {POLICIES}")
        return users

    def readers_of(self) -> ReadersOf:
        """Return who answers the reads of which user."""
        users = {name.encode(): ReadFrom(policy) for name, policy in self.users.items()}
        return ReadersOf(ReadFrom(self.policy), users)
