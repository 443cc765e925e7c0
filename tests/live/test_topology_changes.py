"""Nodes come, go and announce strange addresses; the proxy finds them (laws 6 and 10).

The cluster of this file listens on 127.0.0.1, 127.0.0.2 and ::1, and is told while it
runs what to announce. Which way the proxy took is read from the nodes: CLIENT LIST
says at which of their addresses each connection arrived.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import redis
import trio
from traffic import Plan, Traffic

from proxy.check import check_cluster
from proxy.cluster.topology import Address
from proxy.config import Settings
from proxy.embedded import EmbeddedCluster, NodeConnection, ProxyProcess, RedisNode, wait_for
from proxy.embedded.migration import move_slots

pytestmark = [pytest.mark.live, pytest.mark.takes(60)]

CHANGE_DEADLINE_S = 20.0

MakeProxy = Callable[..., ProxyProcess]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


HAS_IPV6 = has_ipv6()


@pytest.fixture(scope="module")
def many_faced(engine: str) -> Iterator[EmbeddedCluster]:
    """Three primaries that listen on several addresses."""
    hosts = "127.0.0.1 127.0.0.2" + " ::1" * HAS_IPV6
    with EmbeddedCluster(engine, replicas=0, settings={"bind": hosts}) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def emptied(many_faced: EmbeddedCluster) -> None:
    many_faced.flush()


@contextmanager
def announcing(
    cluster: EmbeddedCluster, ip: str, *, hostname: str = "", prefer: str = "ip"
) -> Iterator[None]:
    """Have every node announce this until the block ends, and wait until all have heard it."""
    announce(cluster, ip, hostname, prefer)
    yield
    announce(cluster, "127.0.0.1", "", "ip")


def announce(cluster: EmbeddedCluster, ip: str, hostname: str, prefer: str) -> None:
    for node in cluster.nodes:
        node.call("CONFIG", "SET", "cluster-announce-ip", ip)
        node.call("CONFIG", "SET", "cluster-announce-hostname", hostname)
        node.call("CONFIG", "SET", "cluster-preferred-endpoint-type", prefer)
    place = re.compile(rf" {re.escape(ip)}:\d+@\d+,?{hostname}[ ,]")

    def is_heard() -> bool:
        views = [node.call_text("CLUSTER", "NODES").decode() for node in cluster.nodes]
        return all(len(place.findall(view)) == len(cluster.nodes) for view in views)

    wait_for(is_heard, CHANGE_DEADLINE_S, f"all know each other as {ip} {hostname}")


def arrivals(node: RedisNode) -> set[str]:
    """Return at which of a node's hosts the proxy's connections have arrived."""
    clients = node.call("CLIENT", "LIST")
    assert isinstance(clients, bytes)
    return {
        host.decode().strip("[]")
        for host, command in re.findall(rb" laddr=(\S+):\d+ .* cmd=(\S+) ", clients)
        # We ourselves, and the connection that MIGRATE keeps for a while.
        if command not in (b"client|list", b"restore-asking")
    }


def assert_serves_all(proxy: ProxyProcess) -> None:
    """Write and read in every shard, over both protocol versions."""
    pairs = {f"key:{number}": b"%d" % number for number in range(100)}
    for protocol in (2, 3):
        with redis.Redis(port=proxy.port, protocol=protocol) as client:
            assert client.mset(pairs)
            assert client.mget(pairs) == list(pairs.values())


def assert_arrived(cluster: EmbeddedCluster, host: str) -> None:
    assert [arrivals(node) for node in cluster.nodes] == [{host}] * len(cluster.nodes)


def seeds_at(cluster: EmbeddedCluster, host: str) -> list[Address]:
    return [Address(host, address.port) for address in cluster.addresses]


def test_a_node_added_later_is_found_and_one_that_left_is_let_go(
    make_cluster: Callable[..., EmbeddedCluster], make_proxy: MakeProxy
) -> None:
    cluster = make_cluster(replicas=0)
    # An hour: only a MOVED makes this one look at the map again.
    unhurried = ProxyProcess(cluster.addresses, settings={"cluster.refresh_interval_s": "3600"})
    curious = make_proxy(cluster.addresses, settings={"cluster.refresh_interval_s": "0.2"})
    source = cluster.primaries()[0]
    slots = cluster.slots_of(source)[:200]
    plans = [Plan(1), Plan(32, slots=frozenset(slots)), Plan(100)]

    with (
        unhurried,
        Traffic(unhurried.port, plans) as traffic,
        Traffic(curious.port, plans, "u") as other,
    ):
        added = cluster.add_node()
        cluster.move_slots(slots, source, added)
        traffic.wait_for_progress()
        other.wait_for_progress()
        was_used = arrivals(added)
        cluster.move_slots(slots, added, source)
        traffic.wait_for_progress()
        assert unhurried.tracebacks() == ""
    added_id = added.call_text("CLUSTER", "MYID")
    for node in cluster.nodes:
        if node is not added:
            node.call("CLUSTER", "FORGET", added_id)
    added.call("CLUSTER", "RESET")
    wait_for(lambda: not arrivals(added), CHANGE_DEADLINE_S, "the node that left to be let go")

    assert was_used
    assert traffic.wrong + other.wrong == []
    assert traffic.errors + other.errors == {}
    assert_serves_all(curious)


def test_seeds_may_be_names(many_faced: EmbeddedCluster, make_proxy: MakeProxy) -> None:
    proxy = make_proxy(seeds_at(many_faced, "localhost"))

    assert_serves_all(proxy)


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 on the loopback interface")
def test_a_cluster_on_ipv6(many_faced: EmbeddedCluster, make_proxy: MakeProxy) -> None:
    with announcing(many_faced, "::1"):
        proxy = make_proxy(seeds_at(many_faced, "::1")[:1])

        assert_serves_all(proxy)
        assert_arrived(many_faced, "::1")


def test_host_names_are_used_when_the_cluster_prefers_them(
    many_faced: EmbeddedCluster, make_proxy: MakeProxy
) -> None:
    with announcing(many_faced, "127.0.0.2", hostname="localhost", prefer="hostname"):
        proxy = make_proxy(seeds_at(many_faced, "127.0.0.2"))

        assert_serves_all(proxy)
        # The name leads to 127.0.0.1, the announced address would have led elsewhere.
        assert_arrived(many_faced, "127.0.0.1")


def test_an_unknown_endpoint_is_the_host_that_was_asked(
    many_faced: EmbeddedCluster, make_proxy: MakeProxy
) -> None:
    with announcing(many_faced, "127.0.0.1", prefer="unknown-endpoint"):
        proxy = make_proxy(seeds_at(many_faced, "127.0.0.2"))

        assert_serves_all(proxy)
        assert_arrived(many_faced, "127.0.0.2")


@pytest.mark.parametrize("entry", ["127.0.0.2={0}", "127.0.0.2:{1}={0}:{1}"], ids=["host", "node"])
def test_an_announced_address_is_translated(
    many_faced: EmbeddedCluster, make_proxy: MakeProxy, entry: str
) -> None:
    entries = [entry.format("127.0.0.1", address.port) for address in many_faced.addresses]
    settings = {"cluster.address_map": ",".join(dict.fromkeys(entries))}
    source, target = many_faced.nodes[:2]
    slots = many_faced.slots_of(source)[:100]
    with announcing(many_faced, "127.0.0.2"):
        proxy = make_proxy(many_faced.addresses, settings=settings)
        with Traffic(proxy.port, [Plan(8, slots=frozenset(slots)), Plan(32)]) as traffic:
            traffic.wait_for_progress()
            # Redirects name the announced address too.
            move_slots(slots, source, target)
            traffic.wait_for_progress()
            assert_arrived(many_faced, "127.0.0.1")
            move_slots(slots, target, source)

    assert traffic.wrong == []
    assert traffic.errors == {}


@contextmanager
def wanting(cluster: EmbeddedCluster, *rules: tuple[str, ...]) -> Iterator[None]:
    """Have every node want a password, as ACL rules say, until the block ends."""
    with ExitStack() as stack:
        # A connection that is there keeps its rights.
        admins = [stack.enter_context(NodeConnection(a)) for a in cluster.addresses]
        for admin in admins:
            stack.callback(admin.call, "ACL", "DELUSER", "slotway")
            stack.callback(admin.call, "ACL", "SETUSER", "default", "on", "nopass")
            admin.call_many([("ACL", "SETUSER", *rule) for rule in rules])
        yield


ACCOUNTS = {
    "the default user's password": (
        [("default", "resetpass", ">s3cret word")],
        {"cluster.password": "s3cret word"},
    ),
    "an ACL user": (
        [("slotway", "on", ">s3cret word", "~*", "+@all"), ("default", "off")],
        {"cluster.username": "slotway", "cluster.password": "s3cret word"},
    ),
}


@pytest.mark.parametrize(("rules", "settings"), ACCOUNTS.values(), ids=ACCOUNTS)
def test_the_proxy_logs_in(
    many_faced: EmbeddedCluster,
    make_proxy: MakeProxy,
    rules: list[tuple[str, ...]],
    settings: dict[str, str],
) -> None:
    with wanting(many_faced, *rules):
        proxy = make_proxy(many_faced.addresses, settings=settings)

        assert_serves_all(proxy)


REFUSALS = {
    "no password": ({}, "NOAUTH"),
    "a wrong password": ({"password": "wrong one"}, "WRONGPASS"),
    "a wrong user": ({"username": "nobody", "password": "s3cret word"}, "WRONGPASS"),
}


@pytest.mark.parametrize(("account", "code"), REFUSALS.values(), ids=REFUSALS)
def test_check_says_that_the_password_is_wrong_and_never_what_it_is(
    many_faced: EmbeddedCluster, account: dict[str, str], code: str
) -> None:
    seeds = tuple(map(str, many_faced.addresses))
    settings = Settings.model_validate({"cluster": {"seeds": seeds, **account}})
    lines: list[str] = []
    with wanting(many_faced, ("default", "resetpass", ">s3cret word")):
        problems = trio.run(check_cluster, settings, lines.append)

    said = "\n".join(lines)
    assert problems
    assert code in said
    assert "cluster.password" in said
    assert "s3cret" not in said
    assert "wrong one" not in said
