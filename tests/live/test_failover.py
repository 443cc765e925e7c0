"""What exactly is said to whom when a primary dies (laws 4, 6, 7); other faults: tests/faults.

One cluster of three shards for the whole file, of which each shard goes on alone
(``cluster-require-full-coverage no``), so that what the clients of the other shards
see is the proxy's doing. Every test leaves it with six nodes that agree.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import redis
from traffic import OUTCOME_UNKNOWN, Traffic
from traffic_models import ALL_SLOTS, keys_in

from proxy.embedded import (
    EmbeddedCluster,
    NodeConnection,
    ProxyProcess,
    RedisNode,
    wait_for,
)
from proxy.resp import replies

pytestmark = pytest.mark.live

FAULT_DEADLINE_S = 30.0
MakeProxy = Callable[..., ProxyProcess]


@pytest.fixture(scope="module")
def shards(engine: str) -> Iterator[EmbeddedCluster]:
    """The cluster of this file."""
    with EmbeddedCluster(engine, settings={"cluster-require-full-coverage": "no"}) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def healed(shards: EmbeddedCluster) -> Iterator[None]:
    """Empty the cluster before each test, and bring back to life what is dead after it."""
    shards.flush()
    yield
    heal(shards)


def heal(cluster: EmbeddedCluster) -> None:
    for node in cluster.nodes:
        node.thaw()
        if not node.is_running:
            node.start()
    cluster.wait_until_agreed()
    cluster.wait_until_in_sync()


def slots_with_and_without(
    cluster: EmbeddedCluster, primary: RedisNode
) -> tuple[frozenset[int], frozenset[int]]:
    """Return the slots of a primary, and all others."""
    hit = frozenset(cluster.slots_of(primary))
    return hit, frozenset(ALL_SLOTS) - hit


def assert_nothing_lost(traffic: Traffic) -> None:
    """What could wait has waited; a write that may have run was told so, and no other.

    A read fails only if a write of the same client to the same key was on its way
    behind it, and is unknown: sent again, the read could be too new. Keys that are
    only read (``Standing``) never fail, nor does a client that does not pipeline.
    """
    assert traffic.wrong == []
    for client in traffic.clients:
        for kind in client.errors:
            command, _, error = kind.partition(": ")
            if command in ("GET", "MGET"):
                assert client.plan.depth > 1, kind
                assert "the connection to" in error or "parts of 'mget' failed" in error, kind
            elif command == "MSET":  # counts its parts first
                assert error.startswith("IOERR "), kind
                assert "outcome unknown" in error, kind
            else:
                assert error.startswith(OUTCOME_UNKNOWN), kind


def test_what_was_sent_is_unknown_and_what_was_not_has_waited(
    shards: EmbeddedCluster, make_proxy: MakeProxy
) -> None:
    proxy = make_proxy(shards.addresses)
    victim = shards.primaries()[2]
    keys = keys_in(shards.slots_of(victim), b"exact")
    counter, log, kept = next(keys), next(keys), next(keys)
    client = redis.Redis(port=proxy.port, socket_timeout=FAULT_DEADLINE_S)
    client.mset({counter: 10, log: "a", kept: "kept"})
    shards.wait_until_in_sync()
    pipeline = client.pipeline(transaction=False)
    pipeline.get(counter)
    pipeline.incr(counter)
    pipeline.incr(counter)
    pipeline.get(kept)
    pipeline.append(log, "b")
    pipeline.get(log)
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.extend(pipeline.execute(raise_on_error=False)))

    victim.freeze()
    asking.start()
    with NodeConnection(proxy.address) as bystander:
        wait_for(lambda: is_running(bystander, b"append", b"get"), FAULT_DEADLINE_S, "the APPEND")
    victim.kill()
    asking.join(FAULT_DEADLINE_S)
    first = client.incr(counter)
    client.close()

    told = [str(answer) for answer in answers]
    unknown = text_of(replies.lost_write(str(victim.address)))
    overtaken = text_of(replies.overtaken(str(victim.address)))
    assert told == [overtaken, unknown, unknown, "b'kept'", unknown, "b'a'"]
    assert unknown.startswith(OUTCOME_UNKNOWN)
    assert first == 11


def text_of(frame: bytes) -> str:
    return frame[1:-2].decode()


def is_running(bystander: NodeConnection, *commands: bytes) -> bool:
    """Whether a client's last command is one of these: all before it are on their way.

    What the proxy has read in a turn, it has written to the nodes when it answers
    anybody in the same turn or a later one.
    """
    clients = bystander.call("CLIENT", "LIST")
    assert isinstance(clients, bytes)
    return any(b"cmd=%b " % command in clients for command in commands)


def test_a_shard_that_is_gone_is_waited_for_until_it_is_back(
    shards: EmbeddedCluster, make_proxy: MakeProxy
) -> None:
    patient = make_proxy(shards.addresses)
    hasty = make_proxy(shards.addresses, settings={"cluster.request_timeout_s": "1"})
    victim = shards.primaries()[0]
    hit, spared = slots_with_and_without(shards, victim)
    here, elsewhere = next(keys_in(hit, b"gone")), next(keys_in(spared, b"gone"))
    clients = [
        redis.Redis(port=proxy.port, socket_timeout=FAULT_DEADLINE_S) for proxy in (patient, hasty)
    ]
    for client in clients:
        client.mset({here: 1, elsewhere: 2})
    answers: list[object] = []
    asking = threading.Thread(
        target=lambda: answers.extend([clients[0].get(here), clients[0].set(here, 3)])
    )

    for node in (victim, *shards.replicas_of(victim)):
        node.kill()
    asking.start()
    with pytest.raises(redis.exceptions.ClusterDownError) as told:
        clients[1].get(here)
    with pytest.raises(redis.exceptions.ClusterDownError) as told_all:
        clients[1].mget(here, elsewhere)
    still_served = clients[1].get(elsewhere)
    heal(shards)
    asking.join(FAULT_DEADLINE_S)
    served_again = wait_for(lambda: clients[1].set(here, 4), FAULT_DEADLINE_S)

    assert str(told.value).startswith("no primary of slot ")
    assert "cluster.request_timeout_s (1)" in str(told.value)
    assert str(told_all.value).startswith("1 of 2 parts of 'mget' failed")
    assert still_served == b"2"
    assert served_again
    assert answers == [None, True]  # nothing is kept on disk
    for client in clients:
        client.close()


def test_a_cluster_that_refuses_everything_meanwhile_is_waited_for(
    private_cluster: EmbeddedCluster, private_proxy: ProxyProcess
) -> None:
    # By default a cluster with one shard down answers CLUSTERDOWN everywhere.
    victim = private_cluster.primaries()[0]

    with Traffic(private_proxy.port) as traffic:
        traffic.wait_for_progress()
        traffic.expect_a_crash()
        victim.kill()
        traffic.wait_for_progress()

    assert_nothing_lost(traffic)
