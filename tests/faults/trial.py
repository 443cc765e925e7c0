"""One fault, one engine, all clients: run it, judge it, measure it.

Strategy: every trial has a proxy of its own before a cluster that it shares with the other trials
of its file. Clients first get used to it (what they need of the proxy is there then, and
that is the level to which memory and descriptors must return), then all of them work, the
fault comes, they go on, it ends, they go on again, and look at everything they wrote.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from error_kinds import HARMLESS
from history import History, Loss
from judging.verdict import Verdict, judge, longest_wait_s
from observer import Observer
from resources import Level, growth_since, level_at_rest
from workload.base import Client
from workload.crowd import Crowd
from workload.values import ALL_SLOTS, keys_in

from proxy.cluster.topology import Address
from proxy.embedded import EmbeddedCluster, ProxyProcess, RedisNode, wait_for

QUIET_DEADLINE_S = 20.0
FAULT_DEADLINE_S = 60.0
WARM_UP_TURNS = 5
# What the proxy may keep after a fault: memory that was needed once is given back in pieces of the
# allocator's choice. A leak of a request each (300 bytes) would be more after a full trial.
GROWTH_LIMIT_BYTES = 12 << 20

# A server that crashes takes writes with it that it has acknowledged and not yet passed on. It
# sends to clients and replica in the same turn.
REPLICATION_LAG_S = 0.1  # chosen: a turn takes a thousandth of it
# What a client is told later than this after a crash was not said by the dead server. Chosen: less
# than the cluster takes to notice.
CRASH_IS_OVER_S = 1.0
SETTLING_S = 3.0  # chosen: a machine with all tests on it may keep a process waiting so long
FINDINGS_SHOWN = 20


@dataclass
class Scene:
    """What a fault has before it."""

    cluster: EmbeddedCluster
    proxy: ProxyProcess
    victim: RedisNode
    """The primary whose shard breaks."""
    crowd: Crowd
    losing_windows: list[tuple[float, float]] = field(default_factory=list)
    """From when to when writes were acknowledged that may be gone."""
    cuts: list[tuple[float, float]] = field(default_factory=list)
    """From when to when servers were lost."""

    @contextmanager
    def cutting(self) -> Iterator[None]:
        """Say that servers are lost in this block, with what is on its way to them."""
        from_s = time.monotonic()
        yield
        self.cuts.append((from_s, time.monotonic()))

    @contextmanager
    def losing(self) -> Iterator[None]:
        """Say that what is acknowledged from now until a moment after the block may be gone."""
        from_s = time.monotonic() - REPLICATION_LAG_S
        yield
        self.losing_windows.append((from_s, time.monotonic() + CRASH_IS_OVER_S))

    def wait_until_promoted(self) -> None:
        """Wait until another node has the victim's place."""
        wait_for(
            lambda: self.victim not in self.cluster.primaries(),
            FAULT_DEADLINE_S,
            f"another primary for {self.victim}",
        )

    def heal(self) -> None:
        """Make the cluster whole again."""
        heal(self.cluster)


def heal(cluster: EmbeddedCluster) -> None:
    """Bring back what is dead or hangs, and wait until all agree and have everything."""
    for node in cluster.nodes:
        node.thaw()
        if not node.has_process:
            node.start()
    cluster.wait_until_agreed(FAULT_DEADLINE_S)
    cluster.wait_until_in_sync(FAULT_DEADLINE_S)


Injection = Callable[[Scene], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """A fault by name, and what it may cost.

    Attributes:
        name: As the report calls it.
        inject: On entry it has happened, as far as clients can go on; on exit it is over.
        errors: The kinds of errors (``error_kinds``) that it may bring.
        hurts_all: Whether no shard is spared.
        holds_clients: Whether clients of the shard get nowhere until it is over.
        may_close: Whether connections of clients may end.
        own_time: Whether the time without service is the fault's length, and not the cluster's.
        proxy: Settings of the proxy.
    """

    name: str
    inject: Injection
    errors: frozenset[str] = HARMLESS
    hurts_all: bool = False
    holds_clients: bool = False
    may_close: bool = False
    own_time: bool = False
    proxy: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What came of a trial."""

    verdict: Verdict
    longest_wait_s: float
    """Of any client that needed the broken shard."""
    calm_before_s: float
    calm_during_s: float
    """The longest waits of clients that did not need it, before and during the fault."""
    outage_s: float
    """The longest time in which no write to the shard succeeded through the proxy."""
    own_outage_s: float
    """The same without a proxy, or how long the fault was."""
    growth: Level
    """What the proxy holds more than before."""


@dataclass
class Trial:
    """A fault to be tried on a cluster.

    Attributes:
        turns: How many batches each client gets answered before, during and after the fault.
    """

    fault: Fault
    cluster: EmbeddedCluster
    proxy: ProxyProcess
    turns: int

    def run(self) -> Outcome:
        """Try it, and leave the cluster whole.

        Raises:
            NotInTime: Clients or cluster did not get anywhere.
            Stuck: A client was neither answered nor cut off.
        """
        victim = self.cluster.primaries()[0]
        slots = frozenset(self.cluster.slots_of(victim))
        hurt = frozenset(ALL_SLOTS) if self.fault.hurts_all else slots
        calm = frozenset(ALL_SLOTS) - hurt
        with Crowd(self.proxy.address, hurt, calm) as crowd:
            crowd.wait_for_progress(WARM_UP_TURNS)
        self.cluster.flush()
        before = level_at_rest(self.proxy)

        crowd = Crowd(self.proxy.address, hurt, calm)
        scene = Scene(self.cluster, self.proxy, victim, crowd)
        observer = Observer(self._addresses, self.proxy.address, next(keys_in(slots, "observed")))
        with observer, crowd:
            crowd.wait_for_progress(self.turns)
            from_s = time.monotonic()
            with self.fault.inject(scene):
                goes_on = crowd.calm if self.fault.holds_clients else crowd.clients
                crowd.wait_for_progress(self.turns, goes_on)
            until_s = time.monotonic()
            crowd.wait_for_progress(self.turns)
            observer.wait_for_service(QUIET_DEADLINE_S)
        losses = [Loss(hurt, *window) for window in scene.losing_windows]
        history = History(crowd.logs, tuple(losses), tuple(scene.cuts), (from_s, until_s))
        own_s = until_s - from_s if self.fault.own_time else observer.direct.gap_s(from_s)
        return Outcome(
            verdict=judge(history, self.fault.errors, may_close=self.fault.may_close),
            longest_wait_s=_longest(crowd.hurt, from_s, until_s),
            calm_before_s=_longest(crowd.calm, 0.0, from_s),
            calm_during_s=_longest(crowd.calm, from_s, until_s),
            outage_s=observer.through.gap_s(from_s),
            own_outage_s=own_s,
            growth=growth_since(before, self.proxy, self.cluster.nodes),
        )

    def _addresses(self) -> list[Address]:
        return [node.address for node in self.cluster.nodes]


def _longest(clients: list[Client], from_s: float, until_s: float) -> float:
    return max((longest_wait_s(client.log, from_s, until_s) for client in clients), default=0.0)


def shortcomings(fault: Fault, outcome: Outcome) -> list[str]:
    """Return what is not as it should be; empty: clients were served as well as can be.

    Nothing is compared with a time of ours: a machine that is slow is slow for the cluster too.
    """
    found = [str(finding) for finding in outcome.verdict.findings[:FINDINGS_SHOWN]]
    if outcome.growth.descriptors > 0:
        found.append(f"{outcome.growth.descriptors} descriptors are left open")
    if outcome.growth.resident_bytes > GROWTH_LIMIT_BYTES:
        found.append(f"{outcome.growth.resident_bytes} bytes of memory are left")
    # As long again as the cluster itself, and what a busy machine takes to find its way.
    if outcome.outage_s > 2 * outcome.own_outage_s + SETTLING_S:
        found.append(f"no service for {outcome.outage_s:.1f} s, of {outcome.own_outage_s:.1f} s")
    spared = max(outcome.outage_s, 5 * outcome.calm_before_s, SETTLING_S)
    if outcome.calm_during_s > spared:
        found.append(f"a shard that was not concerned waited for {outcome.calm_during_s:.1f} s")
    return found
