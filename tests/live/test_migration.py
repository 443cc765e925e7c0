"""Slots move while clients write to them: nobody notices (laws 1, 3, 5 and 6)."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis
from traffic import Plan, Traffic

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, ProxyProcess, RedisNode, wait_for
from proxy.embedded.migration import close_slots, move_keys, open_slots

pytestmark = pytest.mark.live

SEEN_DEADLINE_S = 20.0


def refusals(cluster: EmbeddedCluster, code: str) -> int:
    """Return how often the nodes have answered with an error of this code: INFO errorstats."""
    counts = (node.info("errorstats").get(f"errorstat_{code}", "count=0") for node in cluster.nodes)
    return sum(int(count.removeprefix("count=")) for count in counts)


class Refusals:
    """Counts the refusals since it was made."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self._cluster = cluster
        self._before = {code: refusals(cluster, code) for code in ("MOVED", "ASK", "TRYAGAIN")}

    def __getitem__(self, code: str) -> int:
        return refusals(self._cluster, code) - self._before[code]

    def wait_for(self, code: str) -> None:
        """Wait until a node has refused a command with this code."""
        wait_for(lambda: self[code] > 0, SEEN_DEADLINE_S, f"a {code} of any node")


def other_than(cluster: EmbeddedCluster, node: RedisNode) -> RedisNode:
    return next(other for other in cluster.primaries() if other is not node)


def slots_of(traffic: Traffic) -> list[int]:
    """Return the slots in which the clients have most of their keys."""
    return sorted({key_slot(key) for client in traffic.clients for key in client.keys})


@pytest.fixture
def whole_again(cluster: EmbeddedCluster) -> Iterator[None]:
    """Give every slot back after the test: other tests count on a map of few ranges."""
    before = {node: set(cluster.slots_of(node)) for node in cluster.primaries()}
    yield
    for home, slots in before.items():
        for node in cluster.primaries():
            strays = slots & set(cluster.slots_of(node)) if node is not home else set()
            if strays:
                cluster.move_slots(sorted(strays), node, home)
    cluster.wait_until_agreed()


@pytest.mark.usefixtures("whole_again")
def test_every_step_of_a_migration_is_seen_and_survived(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    plans = [Plan(1), Plan(32), Plan(100), Plan(32, resp=3)]
    with Traffic(proxy_process.port, plans) as traffic:
        traffic.wait_for_progress()
        for slot in slots_of(traffic)[:6]:
            source = cluster.primary_for(slot)
            target = other_than(cluster, source)
            bystanders = [node for node in cluster.primaries() if node not in (source, target)]
            seen = Refusals(cluster)
            open_slots([slot], source, target)
            move_keys([slot], source, target)
            seen.wait_for("ASK")
            traffic.wait_for_progress(100)
            close_slots([slot], source, target, bystanders)
            seen.wait_for("MOVED")

    assert traffic.wrong == []
    assert traffic.errors == {}


@pytest.mark.usefixtures("whole_again")
def test_a_command_waits_while_half_of_its_keys_have_moved(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    slot = key_slot(b"{half}")
    source = cluster.primary_for(slot)
    target = other_than(cluster, source)
    bystanders = [node for node in cluster.primaries() if node not in (source, target)]
    client = redis.Redis(port=proxy_process.port, socket_timeout=SEEN_DEADLINE_S)
    client.mset({"{half}a": 1, "{half}b": 2})
    seen = Refusals(cluster)
    answers: list[object] = []

    def ask() -> None:
        pipeline = client.pipeline(transaction=False)
        pipeline.mget("{half}a", "{half}b")
        pipeline.mset({"{half}a": 3, "{half}b": 4})
        pipeline.mget("{half}a", "{half}b")
        answers.extend(pipeline.execute(raise_on_error=False))

    open_slots([slot], source, target)
    source.call("MIGRATE", target.address.host, target.port, "{half}a", 0, 5000)
    asking = threading.Thread(target=ask)
    asking.start()
    seen.wait_for("TRYAGAIN")
    move_keys([slot], source, target)
    close_slots([slot], source, target, bystanders)
    asking.join(SEEN_DEADLINE_S)
    client.close()

    assert answers == [[b"1", b"2"], True, [b"3", b"4"]]


@pytest.mark.usefixtures("whole_again")
def test_keys_made_and_deleted_in_an_open_slot_are_where_they_should_be(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    slot = key_slot(b"{open}")
    source = cluster.primary_for(slot)
    target = other_than(cluster, source)
    bystanders = [node for node in cluster.primaries() if node not in (source, target)]
    with redis.Redis(port=proxy_process.port) as client:
        client.set("{open}old", "at the source")

        open_slots([slot], source, target)
        pipeline = client.pipeline(transaction=False)
        for number in range(20):
            pipeline.set(f"{{open}}{number}", number)
            pipeline.append("{open}old", f",{number}")
            pipeline.incr("{open}counter")
            pipeline.delete(f"{{open}}{number}")
            pipeline.exists(f"{{open}}{number}")
        answers = pipeline.execute()
        move_keys([slot], source, target)
        close_slots([slot], source, target, bystanders)

        numbers = list(range(20))
        assert answers[0::5] == [True] * 20
        assert answers[2::5] == [number + 1 for number in numbers]
        assert answers[3::5] == [1] * 20
        assert answers[4::5] == [0] * 20
        log = ",".join(["at the source", *map(str, numbers)])
        assert client.get("{open}old") == log.encode()
        assert client.get("{open}counter") == b"20"
