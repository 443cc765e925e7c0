"""WATCH under migration and failover: no update is lost that a server had not lost anyway.

Many clients count one key up, each by WATCH, GET, MULTI, SET, EXEC. A null from EXEC
means: try again. What EXEC answered is noted, and compared with the key in the end.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import redis

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, ProxyProcess, wait_for

pytestmark = pytest.mark.live

KEY = "{counter}n"
SLOT = key_slot(KEY.encode())
CLIENTS = 8
DEADLINE_S = 60.0
CONFIRM_MS = 100  # a shard that has lost its primary has no replica to wait for


@dataclass
class Counters:
    """Clients that count until they are told to stop, and what they were told."""

    port: int
    resp: int = 2
    confirms: bool = False
    """Whether a client asks after each step if a replica has it."""
    steps: list[tuple[int, bool]] = field(default_factory=list)
    """(new value, whether a replica had it) of each EXEC that was answered with an array."""
    nulls: int = 0
    unknown: int = 0
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Count as one client."""
        with redis.Redis(
            port=self.port, protocol=self.resp, socket_timeout=DEADLINE_S, retry=None
        ) as client:
            while not self.stop.is_set():
                try:
                    self._step(client)
                except redis.RedisError as problem:
                    self._note(problem)

    def _step(self, client: redis.Redis) -> None:
        with client.pipeline() as pipe:
            pipe.watch(KEY)
            value = int(pipe.get(KEY) or 0) + 1
            pipe.multi()
            pipe.set(KEY, value)
            try:
                assert pipe.execute() == [True]
            except redis.WatchError:
                self.nulls += 1
                return
        self.steps.append((value, self.confirms and self._has_replica(client)))

    def _has_replica(self, client: redis.Redis) -> bool:
        try:
            return bool(client.wait(1, CONFIRM_MS))
        except redis.ResponseError:  # the node has died meanwhile
            return False

    def _note(self, problem: redis.RedisError) -> None:
        if "outcome unknown" in str(problem):
            self.unknown += 1
        else:
            self.failures.append(str(problem))


def count_while(counters: Counters, happening: Callable[[], None]) -> None:
    """Have all clients count while something happens."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        runs = [pool.submit(counters.run) for _ in range(CLIENTS)]
        try:
            happening()
        finally:
            counters.stop.set()
        for run in runs:
            run.result(DEADLINE_S)


def steps_are(counters: Counters, number: int) -> None:
    """Wait until the clients have made so many more steps."""
    wanted = len(counters.steps) + number
    wait_for(lambda: len(counters.steps) >= wanted, DEADLINE_S, f"{number} more steps")


def move_back_and_forth(cluster: EmbeddedCluster, has_gone_on: Callable[[], None]) -> None:
    """Move the slot to and fro, and wait each time until the clients have gone on."""
    for _ in range(4):
        has_gone_on()
        source = cluster.primary_for(SLOT)
        target = next(node for node in cluster.primaries() if node is not source)
        cluster.move_slots([SLOT], source, target)
    has_gone_on()


@pytest.mark.parametrize("resp", [2, 3])
def test_no_update_is_lost_while_the_slot_moves(
    private_cluster: EmbeddedCluster, private_proxy: ProxyProcess, resp: int
) -> None:
    counters = Counters(private_proxy.port, resp)

    count_while(
        counters, lambda: move_back_and_forth(private_cluster, lambda: steps_are(counters, 50))
    )

    with redis.Redis(port=private_proxy.port) as client:
        final = int(client.get(KEY))
    values = [value for value, _ in counters.steps]
    assert counters.failures == []
    assert counters.unknown == 0
    assert sorted(values) == list(range(1, final + 1))
    assert counters.nulls > 0


def test_a_failover_loses_only_what_no_replica_had(
    private_cluster: EmbeddedCluster, private_proxy: ProxyProcess
) -> None:
    counters = Counters(private_proxy.port, confirms=True)
    victim = private_cluster.primary_for(SLOT)

    def kill_the_primary() -> None:
        steps_are(counters, 100)
        victim.kill()
        steps_are(counters, 100)

    count_while(counters, kill_the_primary)

    with redis.Redis(port=private_proxy.port) as client:
        final = int(client.get(KEY))
    assert counters.failures == []
    # Before the failover confirmed values are safe: nobody gets one of them again.
    confirmed = Counter(value for value, is_safe in counters.steps if is_safe)
    everyone = Counter(value for value, _ in counters.steps)
    assert confirmed
    assert max(confirmed) <= final
    assert not [value for value in confirmed if everyone[value] > 1]
    # What is missing in the end was told to nobody as safe, or its outcome was unknown.
    steps, lost = len(counters.steps), sum(count - 1 for count in everyone.values())
    assert steps - lost <= final <= steps - lost + counters.unknown


def test_batches_over_several_slots_run_once_while_one_of_them_moves(
    private_cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> None:
    proxy = make_proxy(private_cluster.addresses, settings={"commands.transactions": "split"})
    keys = [KEY, "{counter}other", "a", "b", "c"]
    answers: list[list[int]] = []
    stop = threading.Event()

    def run() -> None:
        with redis.Redis(port=proxy.port, socket_timeout=DEADLINE_S, retry=None) as client:
            while not stop.is_set():
                with client.pipeline() as pipe:
                    for key in keys:
                        pipe.incr(key)
                    answers.append(pipe.execute())

    def has_gone_on() -> None:
        wanted = len(answers) + 50
        wait_for(lambda: len(answers) >= wanted, DEADLINE_S, "50 more batches")

    with ThreadPoolExecutor(CLIENTS) as pool:
        runs = [pool.submit(run) for _ in range(CLIENTS)]
        try:
            move_back_and_forth(private_cluster, has_gone_on)
        finally:
            stop.set()
        for each in runs:
            each.result(DEADLINE_S)

    every_number = list(range(1, len(answers) + 1))
    assert [sorted(column) for column in zip(*answers, strict=True)] == [every_number] * len(keys)
    assert all(answer[0] == answer[1] for answer in answers)  # one slot: as a whole
