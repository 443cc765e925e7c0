"""Reads at replicas, health checks and breakers, with real servers.

One cluster for the whole file, in which no replica takes over, so that a primary that is
frozen stays the owner of its slots. Every test thaws what it froze.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from relayed import Relay

from proxy.cluster.addresses import Address
from proxy.embedded import EmbeddedCluster, ProxyProcess, RedisNode, wait_for
from proxy.resp.decode import Value

pytestmark = pytest.mark.live

KEY = b"user:1"
PAIRS = [(b"node_down", b"node_up"), (b"breaker_opened", b"breaker_closed")]
MakeProxy = Callable[..., ProxyProcess]
QUICK = {"cluster.health_interval_s": "0.2", "cluster.health_failures": "2"}
SETTINGS = {"cluster-replica-no-failover": "yes", "cluster-require-full-coverage": "no"}


@pytest.fixture(scope="module")
def shards(engine: str) -> Iterator[EmbeddedCluster]:
    """The cluster of this file."""
    with EmbeddedCluster(engine, settings=SETTINGS) as cluster:
        yield cluster


@pytest.fixture
def primary(shards: EmbeddedCluster) -> Iterator[RedisNode]:
    """The primary of the key; afterwards all nodes are thawed and agree."""
    shards.wait_until_in_sync()
    yield shards.primary_for(KEY)
    for node in shards.nodes:
        node.thaw()
    shards.wait_until_agreed()


@pytest.fixture
def replica(shards: EmbeddedCluster, primary: RedisNode) -> RedisNode:
    """Its replica."""
    (found,) = shards.replicas_of(primary)
    return found


def connect(proxy: ProxyProcess) -> redis.Redis:
    """Return a client that waits longer than the proxy does, and does not try again."""
    return redis.Redis(proxy.address.host, proxy.port, socket_timeout=30)


def gets(node: RedisNode) -> int:
    """Return how many GETs a node has answered."""
    told = node.info("commandstats").get("cmdstat_get", "calls=0,")
    return int(told.partition("calls=")[2].partition(",")[0])


def wait_for_event(client: redis.Redis, kind: bytes, node: RedisNode) -> None:
    """Wait until this is what the proxy has told last of a node's health, or of its breaker."""
    kinds = next(pair for pair in PAIRS if kind in pair)

    def has_come() -> bool:
        events = client.execute_command("PROXY", "EVENTS")[b"events"]
        about = str(node.address).encode()
        found = [e[b"kind"] for e in events if e[b"node"] == about and e[b"kind"] in kinds]
        return found[-1:] == [kind]

    wait_for(has_come, deadline_s=20.0, what=f"{kind!r} of {node.address}")


def test_a_replica_answers_reads_and_the_primary_writes(
    shards: EmbeddedCluster, make_proxy: MakeProxy, primary: RedisNode, replica: RedisNode
) -> None:
    proxy = make_proxy(shards.addresses, settings={**QUICK, "reads.policy": "replica"})
    client = connect(proxy)
    client.set(KEY, "x")
    assert client.wait(1, 5000) == 1
    before = gets(primary), gets(replica)

    answered = {client.get(KEY) for _ in range(100)}

    assert answered == {b"x"}
    assert gets(replica) - before[1] == 100
    assert gets(primary) == before[0]


def test_a_frozen_replicas_reads_go_to_the_primary_and_come_back(
    shards: EmbeddedCluster, make_proxy: MakeProxy, primary: RedisNode, replica: RedisNode
) -> None:
    proxy = make_proxy(shards.addresses, settings={**QUICK, "reads.policy": "prefer_replica"})
    client, watcher = connect(proxy), connect(proxy)
    client.set(KEY, "y")
    assert client.wait(1, 5000) == 1
    wait_for(lambda: reads_at(client, replica), deadline_s=10.0, what="reads at the replica")
    at_primary = gets(primary)

    replica.freeze()

    assert {client.get(KEY) for _ in range(20)} == {b"y"}
    assert gets(primary) > at_primary
    wait_for_event(watcher, b"node_down", replica)
    replica.thaw()
    wait_for(lambda: reads_at(client, replica), deadline_s=20.0, what="reads at the replica")


def reads_at(client: redis.Redis, node: RedisNode) -> bool:
    """Return whether a GET goes to this node."""
    before = gets(node)
    client.get(KEY)
    return gets(node) > before


def test_a_replica_without_a_link_to_its_primary_answers_nothing(
    shards: EmbeddedCluster, make_proxy: MakeProxy, primary: RedisNode, replica: RedisNode
) -> None:
    settings = {**QUICK, "reads.policy": "prefer_replica"}
    client = connect(make_proxy(shards.addresses, settings=settings))
    client.set(KEY, "old")
    assert client.wait(1, 5000) == 1
    wait_for(lambda: reads_at(client, replica), deadline_s=10.0, what="reads at the replica")

    # Whoever has to log in as nobody does not come back.
    replica.call("CONFIG", "SET", "masteruser", "nobody", "masterauth", "nothing")
    primary.call("CLIENT", "KILL", "TYPE", "replica")
    client.set(KEY, "new")
    wait_for(lambda: not reads_at(client, replica), deadline_s=10.0, what="reads elsewhere")

    assert stored_at(replica) == b"old"
    assert reads_of(client, replica) == ({b"new"}, 0)
    replica.call("CONFIG", "SET", "masteruser", "", "masterauth", "")
    wait_for(lambda: reads_at(client, replica), deadline_s=20.0, what="reads at the replica")
    assert client.get(KEY) == b"new"


def test_a_replica_further_behind_than_it_may_be_answers_nothing(
    shards: EmbeddedCluster, make_proxy: MakeProxy, primary: RedisNode, replica: RedisNode
) -> None:
    """What the primary sends it is on the way, for longer and longer; its link stands."""
    with Relay([primary.address]) as relay, announced(primary, relay.seeds[0]):
        link = {"master_port": str(relay.seeds[0].port), "master_link_status": "up"}
        wait_for(
            lambda: link.items() <= replica.info("replication").items(),
            deadline_s=20.0,
            what="the link to go over the relay",
        )
        settings = {**QUICK, "reads.policy": "prefer_replica", "reads.max_lag_s": "0.5"}
        settings["cluster.address_map"] = f"{relay.seeds[0]}={primary.address}"
        client = connect(make_proxy(shards.addresses, settings=settings))
        client.set(KEY, "old")
        assert client.wait(1, 5000) == 1
        wait_for(lambda: reads_at(client, replica), deadline_s=10.0, what="reads at the replica")

        relay.tell("stall", primary.address)
        client.set(KEY, "new")
        wait_for(lambda: not reads_at(client, replica), deadline_s=10.0, what="reads elsewhere")

        assert stored_at(replica) == b"old"
        assert replica.info("replication")["master_link_status"] == "up"
        assert reads_of(client, replica) == ({b"new"}, 0)
        relay.tell("heal", primary.address)
        wait_for(lambda: reads_at(client, replica), deadline_s=20.0, what="reads at the replica")
        assert client.get(KEY) == b"new"


@contextmanager
def announced(node: RedisNode, address: Address) -> Iterator[None]:
    """Have a node tell the others that it is to be found at another port."""
    node.call("CONFIG", "SET", "cluster-announce-bus-port", node.port + 10000)
    node.call("CONFIG", "SET", "cluster-announce-port", address.port)
    try:
        yield
    finally:
        node.call("CONFIG", "SET", "cluster-announce-port", 0)


def stored_at(node: RedisNode) -> Value:
    """Return what a node itself has for the key."""
    with node.connect() as connection:
        return connection.call_many([("READONLY",), ("GET", KEY)])[1]


def reads_of(client: redis.Redis, node: RedisNode) -> tuple[set[bytes], int]:
    """Return what many reads gave, and how many of them a node has answered."""
    before = gets(node)
    return {client.get(KEY) for _ in range(50)}, gets(node) - before


def test_while_a_primary_is_frozen_its_replica_answers_reads(
    shards: EmbeddedCluster, make_proxy: MakeProxy, primary: RedisNode, replica: RedisNode
) -> None:
    proxy = make_proxy(shards.addresses, settings={**QUICK, "reads.fallback_s": "60"})
    client, watcher = connect(proxy), connect(proxy)
    client.set(KEY, "z")
    assert client.wait(1, 5000) == 1

    primary.freeze()
    wait_for_event(watcher, b"node_down", primary)

    assert client.get(KEY) == b"z"
    primary.thaw()
    wait_for_event(watcher, b"node_up", primary)
    client.set(KEY, "after")
    wait_for(lambda: reads_at(client, primary), deadline_s=20.0, what="reads at the primary")


def test_a_breaker_opens_when_waiting_is_hopeless_and_closes_when_the_node_lives(
    shards: EmbeddedCluster, make_proxy: MakeProxy, primary: RedisNode
) -> None:
    settings = {**QUICK, "cluster.request_timeout_s": "1", "cluster.breaker_after_s": "1"}
    proxy = make_proxy(shards.addresses, settings=settings)
    client, watcher = connect(proxy), connect(proxy)
    client.set(KEY, "x")

    primary.freeze()
    # Nobody asks anything of it: the health checks notice.
    wait_for_event(watcher, b"node_down", primary)
    refusals = []
    while not any("its breaker is open" in words for words in refusals):
        assert len(refusals) < 20
        with pytest.raises(redis.RedisError) as refused:
            client.set(KEY, "y")
        refusals.append(str(refused.value))
    with pytest.raises(redis.ResponseError, match="its breaker is open") as summed:
        client.dbsize()
    primary.thaw()
    wait_for_event(watcher, b"breaker_closed", primary)

    assert str(primary.address) in refusals[-1]
    assert str(primary.address) in str(summed.value)
    assert client.set(KEY, "z")
