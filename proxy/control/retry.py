"""Decide what becomes of a command that a node refused to run.

Strategy: pure functions from what was said to what to do. All refusals mean
that the command did not run, so every one of them may be sent again (law 4);
how often and when is bounded only by the request's deadline (law 6), and the
waits between two attempts grow.

MOVED says that the map is old: patch the one slot, refresh the rest. ASK
concerns one command during a migration and must not change the map. A redirect
to a node that the cluster has not told us about is not followed: a script can
return any text as an error, and the map belongs to all clients. A refresh then
finds the node, if there is one.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.cluster.addresses import Address
from proxy.cluster.redirects import Ask, Loading, MasterDown, Moved, Refusal, TryAgain

# Redirects followed without a pause. A longer chain means that the nodes do not agree yet.
# Precedent: redis-py follows 16, predixy 3.
MAX_REDIRECTS = 5  # chosen, not measured

FIRST_WAIT_S = 0.005
LONGEST_WAIT_S = 0.1


@dataclass(frozen=True, slots=True)
class Pass:
    """Let the client have the server's error."""


@dataclass(frozen=True, slots=True)
class Again:
    """Send it again by the slot map, after ``wait_s`` seconds."""

    wait_s: float = 0.0
    patch: Moved | None = None
    """Change this one slot of the map before."""
    refresh: bool = True
    """Ask the cluster for its map."""


@dataclass(frozen=True, slots=True)
class AskAt:
    """Send it to this node after ASKING."""

    address: Address


Verdict = Pass | Again | AskAt


@dataclass(frozen=True, slots=True)
class NextReader:
    """Ask somebody else: the primary, or another replica if only they may answer."""

    wait_s: float
    is_unfit: bool
    """No read is for this replica until it is well again."""
    refresh: bool
    """Ask the cluster for its map."""


def judge_reader(refusal: Refusal | None, *, attempts: int) -> NextReader:
    """Return what to do with a read that a replica would not answer.

    What a replica says of slots is its primary's business and may be old, so its MOVED changes
    no map: the slot's primary, asked next, says it better. A replica that has lost its
    primary (MASTERDOWN) or is loading is of no use until it says otherwise.

    Args:
        refusal: What it said; None if it is no refusal we know.
        attempts: Times the read has been sent in vain so far.
    """
    return NextReader(
        wait_s=backoff_s(attempts) if attempts else 0.0,
        is_unfit=isinstance(refusal, Loading | MasterDown),
        refresh=isinstance(refusal, Moved),
    )


def backoff_s(attempts: int) -> float:
    """Return how long to wait after so many attempts: doubling, up to a tenth of a second."""
    return min(FIRST_WAIT_S * (1 << min(attempts, 10)), LONGEST_WAIT_S)


def judge(refusal: Refusal | None, *, redirects: int, attempts: int, is_known: bool) -> Verdict:
    """Return what to do with a command that was refused.

    Args:
        refusal: What the node said; None if it is no refusal we know.
        redirects: MOVED and ASK followed for this command so far.
        attempts: Times it has been sent in vain so far.
        is_known: Whether the node that a redirect names is in the cluster's map.
    """
    match refusal:
        case None:
            return Pass()
        case Moved() if is_known and redirects < MAX_REDIRECTS:
            return Again(patch=refusal)
        case Ask(_, address) if is_known and redirects < MAX_REDIRECTS:
            return AskAt(address)
        case TryAgain():
            return Again(wait_s=backoff_s(attempts), refresh=False)
        case Loading():
            return Again(wait_s=LONGEST_WAIT_S)
        case _:
            return Again(wait_s=backoff_s(attempts))
