"""May a primary claim slots now? Only when the config epochs of all are settled. Pure.

Strategy: a claim is made with the highest epoch that the claimant has heard of, plus one. If it
has not heard of another primary's, that may be the very same; and of two primaries with one
epoch, one takes a higher as soon as it hears of the other. If either is the slot's owner until
now, the claim is void, and a node that is not told otherwise believes the old owner for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.cluster.addresses import Address
from proxy.cluster.facts import parse_pairs
from proxy.errors import BackendProtocolError


@dataclass(frozen=True, slots=True)
class Epochs:
    """What one primary says of config epochs."""

    own: int
    """With which it claims its slots."""
    highest: int
    """That it has heard of."""


QUESTIONS = (("CLUSTER", "INFO"), ("INFO", "replication"))
"""What ``parse_epochs`` takes the replies of."""


def parse_epochs(cluster_info: bytes, replication: bytes) -> Epochs | None:
    """Read the replies to ``QUESTIONS``; None for a replica, which tells its primary's epoch.

    Raises:
        BackendProtocolError: The epochs are not in it, or no numbers.
    """
    facts = {**parse_pairs(cluster_info), **parse_pairs(replication)}
    if facts.get("role") == "slave":
        return None
    try:
        return Epochs(int(facts["cluster_my_epoch"]), int(facts["cluster_current_epoch"]))
    except (KeyError, ValueError) as problem:
        raise BackendProtocolError(f"CLUSTER INFO without epochs: {problem}") from None


def unsettled_epoch(told: Mapping[Address, Epochs | None], claimant: Address) -> str | None:
    """Return why a claim to slots could be undone by gossip, in words; None if it could not.

    Args:
        told: What all say who were primaries, the claimant among them; None of who has become a
            replica. A claimant that has refuses by itself, and is not waited for.
        claimant: Who is to claim slots.
    """
    claiming = told[claimant]
    if claiming is None:
        return None
    whose: dict[int, Address] = {}
    for address, epochs in told.items():
        if epochs is None:
            continue
        if epochs.own > claiming.highest:
            return f"{claimant} does not know the epoch of {address}"
        if epochs.own in whose:
            return f"{whose[epochs.own]} and {address} have the same epoch, {epochs.own}"
        whose[epochs.own] = address
    return None
