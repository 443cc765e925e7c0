"""What moves and losses cost: redirects, refreshes, seconds. Formulas, tried on real runs. Pure.

Strategy: requests come at a steady rate R, evenly over 16384 slots and all keys, and every key
exists. Then, with the classic way of moving, one chunk of 50 slots after another:

- A move of M slots takes with it keys * M / 16384 keys. Seconds: keys / keys_per_s
  + bytes / bytes_per_s + what each chunk of slots costs (``manners``). Several roads at a time
  only make it shorter.
- While a chunk is copied, on the average half of its keys have left, and all of them until
  the source has been told, a fiftieth of what the chunk costs: with C seconds of copying a
  chunk, ASK = M * R / 16384 * (C / 2 + chunk_s / 50). Atomic migration (Valkey 9) has none.
- When a chunk changes hands, requests come to the old owner until the proxy has read the map
  anew: MOVED = M * R / 16384 * refresh_s, or fewer. Refreshes: at most two a chunk, one each
  0.1 s, and one that was due anyway. The proxy follows all of these; its clients see none.
- A client with a map of its own sees at most one MOVED for each slot, M.
- A lost primary is suspected cluster-node-timeout N after a ping that was not answered; that is
  sent up to N / 2 after the last answer. Its replica waits 0.5 to 1 s, then asks for votes:
  N + 0.5 to 1.5 N + 1.1 s, as the cluster specification has it, and the proxy has read the map
  refresh_s later. Requests of its slots
  wait that long in the proxy, and fail if ``request_timeout_s`` is shorter. For the last
  1.1 s all slots are refused, if cluster-require-full-coverage is on.

Not in it: TRYAGAIN for commands over several keys, big keys, hot slots, replication that lags,
writes that were acknowledged and not yet copied (lost with their primary).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from proxy.cluster.slots import SLOT_COUNT
from proxy.manage.manners import ATOMIC, CLASSIC, Manner
from proxy.manage.move_plan import Move
from proxy.manage.survival import Verdict

TOLD_SHARE = 0.02  # of a chunk's cost: from its last key to when its source knows that it is gone
REFRESH_INTERVAL_S = 0.1  # cluster.refresh_min_interval_s
ELECTION_LEAST_S, ELECTION_MOST_S = 0.5, 1.1  # cluster-spec: 500 ms, up to 500 more, the votes


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the figures rest on."""

    requests_per_s: float = 10_000.0
    keys: int = 1_000_000
    """In the whole cluster."""
    key_bytes: float = 100.0
    """Of a key with its value, as the servers serialize it."""
    keys_per_s: float = 20_000.0
    """Small keys copied by MIGRATE; measured with Redis 7.0.15 over loopback, 2 busy cores."""
    bytes_per_s: float = 125_000_000.0
    """1 Gbit/s; assumed."""
    node_timeout_s: float = 15.0
    """cluster-node-timeout; 15 s is the servers' default."""
    request_timeout_s: float = 20.0
    """How long the proxy is patient: cluster.request_timeout_s."""
    refresh_s: float = 0.15
    """How soon it has read the map again: cluster.refresh_min_interval_s, and the reading."""
    manner: Manner = CLASSIC
    full_coverage: bool = True
    """cluster-require-full-coverage."""


@dataclass(frozen=True, slots=True)
class MoveForecast:
    """What moving slots costs."""

    roads: int
    """Pairs of nodes."""
    slots: int
    keys: int
    bytes: int
    seconds: float
    asks: int
    moved_at_most: int
    refreshes_at_most: int
    direct_moved_at_most: int
    """MOVED that each client with a map of its own would see."""


@dataclass(frozen=True, slots=True)
class LossForecast:
    """What the loss of nodes costs."""

    verdict: Verdict
    nodes: int
    slots: int
    """Whose primary is lost."""
    least_s: float | None
    """Without service for these slots; None: until somebody repairs it."""
    most_s: float | None
    all_slots_s: float | None
    """Without service for all slots, within the above; None: until somebody repairs it."""
    waiting_at_most: int | None
    """Requests that wait in the proxy, if clients send on; None: no end of it."""
    failed_at_most: int | None
    """Requests that wait for longer than the proxy does; None: no end of it."""


def forecast_moves(moves: Sequence[Move], given: Assumptions) -> MoveForecast:
    """Return what moves cost."""
    slots = sum(len(move.slots) for move in moves)
    chunks = sum(ceil(len(move.slots) / given.manner.slots_at_once) for move in moves)
    keys = given.keys * slots / SLOT_COUNT
    size = keys * given.key_bytes
    copying_s = keys / given.keys_per_s + size / given.bytes_per_s
    seconds = copying_s + chunks * given.manner.chunk_s
    rate = slots * given.requests_per_s / SLOT_COUNT
    astray_s = copying_s / (chunks or 1) / 2 + TOLD_SHARE * given.manner.chunk_s
    return MoveForecast(
        roads=len(moves),
        slots=slots,
        keys=round(keys),
        bytes=round(size),
        seconds=round(seconds, 1),
        asks=0 if given.manner == ATOMIC else round(rate * astray_s),
        moved_at_most=ceil(rate * given.refresh_s),
        refreshes_at_most=min(2 * chunks, ceil(seconds / REFRESH_INTERVAL_S)) + 1,
        direct_moved_at_most=slots,
    )


def forecast_loss(verdict: Verdict, nodes: int, slots: int, given: Assumptions) -> LossForecast:
    """Return what a loss costs.

    Args:
        verdict: Whether it is survived.
        nodes: How many are lost.
        slots: How many of the slots had their primary there.
        given: What is assumed.
    """
    if not slots:
        return LossForecast(verdict, nodes, 0, 0.0, 0.0, 0.0, 0, 0)
    if not verdict.survives:
        everything = None if given.full_coverage else 0.0
        return LossForecast(verdict, nodes, slots, None, None, everything, None, None)
    least_s = given.node_timeout_s + ELECTION_LEAST_S
    most_s = 1.5 * given.node_timeout_s + ELECTION_MOST_S + given.refresh_s
    everything_s = ELECTION_MOST_S if given.full_coverage else 0.0
    rate = given.requests_per_s * slots / SLOT_COUNT
    patience_s = given.request_timeout_s
    return LossForecast(
        verdict=verdict,
        nodes=nodes,
        slots=slots,
        least_s=round(least_s, 3),
        most_s=round(most_s, 3),
        all_slots_s=everything_s,
        waiting_at_most=ceil(
            rate * min(most_s, patience_s) + (given.requests_per_s - rate) * everything_s
        ),
        failed_at_most=ceil(rate * max(0.0, most_s - patience_s)),
    )
