"""Primaries die, hang and hand over under traffic (laws 4, 6 and 7).

One cluster of three shards for the whole file, of which each shard goes on alone
(``cluster-require-full-coverage no``), so that what the clients of the other shards
see is the proxy's doing. Every test leaves it with six nodes that agree.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from traffic import OUTCOME_UNKNOWN, Plan, Traffic
from traffic_models import ALL_SLOTS, keys_in

from proxy.cluster.topology import Address
from proxy.embedded import (
    EmbeddedCluster,
    NodeConnection,
    ProxyProcess,
    RedisNode,
    lease_ports,
    wait_for,
)
from proxy.resp import replies

pytestmark = pytest.mark.live

FAULT_DEADLINE_S = 30.0
NODE_TIMEOUT = "cluster-node-timeout"
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


@contextmanager
def patient(cluster: EmbeddedCluster) -> Iterator[None]:
    """Let the cluster wait for a silent node longer than any machine is slow."""
    _, was = cluster.nodes[0].call("CONFIG", "GET", NODE_TIMEOUT)
    for node in cluster.nodes:
        node.call("CONFIG", "SET", NODE_TIMEOUT, 60_000)
    yield
    for node in cluster.nodes:
        node.call("CONFIG", "SET", NODE_TIMEOUT, was)


def slots_with_and_without(
    cluster: EmbeddedCluster, primary: RedisNode
) -> tuple[frozenset[int], frozenset[int]]:
    """Return the slots of a primary, and all others."""
    hit = frozenset(cluster.slots_of(primary))
    return hit, frozenset(ALL_SLOTS) - hit


def hurt_and_calm(
    cluster: EmbeddedCluster, victim: RedisNode, port: int
) -> tuple[Traffic, Traffic]:
    """Return clients that need a primary, and clients that do not."""
    hit, spared = slots_with_and_without(cluster, victim)
    depths = (1, 8, 32, 100)
    hurt = Traffic(port, [*(Plan(depth, slots=hit) for depth in depths), Plan(32, resp=3)], "hurt")
    return hurt, Traffic(port, [Plan(depth, slots=spared) for depth in depths], "calm")


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


def assert_unnoticed(calm: Traffic, waits_before_s: list[float], hurt: Traffic) -> None:
    """Clients that did not need the broken node have not waited for it.

    They may have waited for their own nodes, which write their map to disk when it
    changes, and for the machine, which has much to do.
    """
    assert calm.wrong == []
    assert calm.errors == {}
    outage_s = min(client.longest_wait_s for client in hurt.clients)
    for client, before_s in zip(calm.clients, waits_before_s, strict=True):
        assert client.longest_wait_s < max(outage_s / 2, 5 * before_s), calm


def promoted(cluster: EmbeddedCluster, victim: RedisNode) -> bool:
    """Whether another node has taken the place of a primary."""
    return victim not in cluster.primaries()


def wait_until_promoted(cluster: EmbeddedCluster, victim: RedisNode) -> None:
    wait_for(lambda: promoted(cluster, victim), FAULT_DEADLINE_S, f"another one for {victim}")


@pytest.mark.parametrize("fault", [RedisNode.kill, RedisNode.freeze], ids=["kill", "freeze"])
def test_a_primary_breaks_under_traffic(
    shards: EmbeddedCluster, make_proxy: MakeProxy, fault: Callable[[RedisNode], None]
) -> None:
    proxy = make_proxy(shards.addresses)
    victim = shards.primaries()[0]
    hurt, calm = hurt_and_calm(shards, victim, proxy.port)

    with hurt, calm:
        hurt.wait_for_progress()
        calm.wait_for_progress()
        waits_before_s = [client.longest_wait_s for client in calm.clients]
        calm.forget_waits()
        hurt.expect_a_crash()
        fault(victim)
        hurt.wait_for_progress()
        calm.wait_for_progress()
        victim.thaw()
        hurt.wait_for_progress()

    assert promoted(shards, victim)
    assert_nothing_lost(hurt)
    assert_unnoticed(calm, waits_before_s, hurt)


def test_a_primary_that_hangs_for_a_moment_costs_only_that_moment(
    shards: EmbeddedCluster, make_proxy: MakeProxy
) -> None:
    proxy = make_proxy(shards.addresses, settings={"cluster.silence_timeout_s": "0.2"})
    victim = shards.primaries()[1]
    hurt, calm = hurt_and_calm(shards, victim, proxy.port)

    with patient(shards), hurt, calm:
        hurt.wait_for_progress()
        calm.wait_for_progress()
        waits_before_s = [client.longest_wait_s for client in calm.clients]
        calm.forget_waits()
        hurt.forget_waits()
        victim.freeze()
        # Longer than silence_timeout_s, shorter than the cluster's patience.
        wait_for(
            lambda: all(client.longest_wait_s > 0.9 for client in hurt.clients),
            FAULT_DEADLINE_S,
            "all clients of the shard wait",
        )
        victim.thaw()
        hurt.wait_for_progress()
        calm.wait_for_progress()

    assert not promoted(shards, victim)
    assert hurt.wrong == []
    assert hurt.errors == {}
    assert_unnoticed(calm, waits_before_s, hurt)


def test_a_graceful_failover_is_no_error_to_anyone(
    shards: EmbeddedCluster, make_proxy: MakeProxy
) -> None:
    proxy = make_proxy(shards.addresses)

    with Traffic(proxy.port) as traffic:
        traffic.wait_for_progress()
        for victim in shards.primaries():
            (replica,) = shards.replicas_of(victim)
            replica.call("CLUSTER", "FAILOVER")
            wait_until_promoted(shards, victim)
            traffic.wait_for_progress()

    assert traffic.wrong == []
    assert traffic.errors == {}


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


def test_a_node_restarted_on_its_port_is_used_again(
    shards: EmbeddedCluster, make_proxy: MakeProxy
) -> None:
    proxy = make_proxy(shards.addresses)
    victim = shards.primaries()[1]
    key = next(keys_in(shards.slots_of(victim), b"restart"))
    with redis.Redis(port=proxy.port, socket_timeout=FAULT_DEADLINE_S) as client:
        client.set(key, "before")

        victim.restart()

        # Nothing is kept on disk: an empty primary, or a replica that was quick.
        assert client.get(key) in (b"before", None)
        assert client.set(key, "after")


def test_a_proxy_whose_seeds_are_all_gone_goes_on(
    shards: EmbeddedCluster, make_proxy: MakeProxy
) -> None:
    first, second, _ = shards.primaries()
    with lease_ports(1) as nobody:
        proxy = make_proxy([Address("127.0.0.1", nobody.ports[0]), first.address])
        hurt, _ = hurt_and_calm(shards, second, proxy.port)

        with hurt:
            hurt.wait_for_progress()
            hurt.expect_a_crash()
            first.kill()
            wait_until_promoted(shards, first)
            hurt.expect_a_crash()
            second.kill()
            wait_until_promoted(shards, second)
            hurt.wait_for_progress()

    assert_nothing_lost(hurt)


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
