"""Subscribers whose nodes die, hang or give slots away notice nothing; slow ones are cut."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from speakers import DEADLINE_S, Speaker, dialogue, message

from proxy.cluster.slots import key_slot
from proxy.embedded import (
    EmbeddedCluster,
    ProxyProcess,
    RedisNode,
    StandaloneServer,
    wait_for,
)

pytestmark = pytest.mark.live

FAULT_DEADLINE_S = 40.0


@pytest.fixture
def whole_again(cluster: EmbeddedCluster) -> Iterator[None]:
    """Give every slot back after the test."""
    before = {node: set(cluster.slots_of(node)) for node in cluster.primaries()}
    yield
    for home, slots in before.items():
        for node in cluster.primaries():
            strays = slots & set(cluster.slots_of(node)) if node is not home else set()
            if strays:
                cluster.move_slots(sorted(strays), node, home)
    cluster.wait_until_agreed()


def names_of(cluster: EmbeddedCluster, node: RedisNode, prefix: str) -> list[bytes]:
    """Return three names whose slots a node owns."""
    names = (f"{prefix}:{number}".encode() for number in itertools.count())
    mine = set(cluster.slots_of(node))
    return list(itertools.islice((name for name in names if key_slot(name) in mine), 3))


def hears(listener: Speaker, publish: Callable[[], object], wanted: bytes) -> None:
    """Publish until the listener hears it; anything else it hears is a mistake."""

    def heard() -> bool:
        publish()
        frames = listener.read_until_quiet(0.1)
        assert set(frames) <= {wanted}
        return wanted in frames

    wait_for(heard, FAULT_DEADLINE_S, f"{wanted!r}")


@pytest.mark.parametrize("fault", [RedisNode.kill, RedisNode.freeze], ids=["kill", "freeze"])
def test_a_failover_is_not_noticed_by_subscribers(
    private_cluster: EmbeddedCluster,
    private_proxy: ProxyProcess,
    fault: Callable[[RedisNode], None],
) -> None:
    cluster, port = private_cluster, private_proxy.port
    victim = cluster.primaries()[0]
    channel, pattern, shard = names_of(cluster, victim, "name")
    with Speaker(port) as old, Speaker(port, resp=3) as new, Speaker(port) as publisher:
        for client in (old, new):
            client.ask("SUBSCRIBE", channel)
            client.ask("PSUBSCRIBE", pattern)
            client.ask("SSUBSCRIBE", shard)

        fault(victim)
        for client in (old, new):
            for word, name, said in (
                ("message", channel, "PUBLISH"),
                ("pmessage", pattern, "PUBLISH"),
                ("smessage", shard, "SPUBLISH"),
            ):
                words = (name, name, b"x") if word == "pmessage" else (name, b"x")
                wanted = message(word, *words, resp=client.resp)
                others = old if client is new else new
                others.read_until_quiet(0.01)
                hears(client, lambda said=said, name=name: publisher.ask(said, name, "x"), wanted)
                others.read_until_quiet(0.01)

        assert publisher.ask("PUBLISH", channel, "x") == b":2\r\n"
        assert new.ask("SET", channel, "v").startswith((b"+OK", b">"))
    assert victim not in cluster.primaries()


@pytest.mark.usefixtures("whole_again")
def test_a_migration_is_not_noticed_by_subscribers(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    source, target = cluster.primaries()[:2]
    channel, pattern, shard = names_of(cluster, source, "moving")
    with Speaker(proxy_process.port) as client, Speaker(proxy_process.port) as publisher:
        client.ask("SUBSCRIBE", channel)
        client.ask("PSUBSCRIBE", pattern)
        client.ask("SSUBSCRIBE", shard)

        cluster.move_slots(sorted(map(key_slot, (channel, pattern, shard))), source, target)
        publish = lambda: publisher.ask("SPUBLISH", shard, "x")  # noqa: E731
        hears(client, publish, message("smessage", shard, b"x"))
        assert publisher.ask("SPUBLISH", shard, "x") == b":1\r\n"
        assert client.read() == message("smessage", shard, b"x")
        for number in range(20):
            assert publisher.ask("PUBLISH", channel, number) == b":1\r\n"
        wanted = [message("message", channel, b"%d" % number) for number in range(20)]
        assert client.read_many(20) == wanted
        assert publisher.ask("PUBLISH", pattern, "x") == b":1\r\n"
        assert client.read() == message("pmessage", pattern, pattern, b"x")
        assert client.read_until_quiet() == []


@pytest.mark.usefixtures("whole_again")
def test_a_stream_of_messages_is_whole_and_single_while_its_slot_moves_to_and_fro(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    source, target = cluster.primaries()[:2]
    channel = names_of(cluster, source, "stream")[0]
    slot = key_slot(channel)
    numbers = itertools.count()
    with Speaker(proxy_process.port) as client, Speaker(proxy_process.port) as publisher:
        client.ask("SUBSCRIBE", channel)

        def publish_some() -> None:
            for number in itertools.islice(numbers, 50):
                publisher.ask("PUBLISH", channel, number)

        for here, there in ((source, target), (target, source), (source, target)):
            publish_some()
            cluster.move_slots([slot], here, there)
            publish_some()
        publisher.ask("PUBLISH", channel, "the end")
        last = message("message", channel, b"the end")
        heard = list(iter(client.read, last))

    assert heard == [message("message", channel, b"%d" % number) for number in range(300)]


def test_a_slow_subscriber_is_cut_with_a_reason_and_others_are_not_delayed(
    cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> None:
    proxy = make_proxy(
        cluster.addresses, settings={"limits.pubsub_output_limit_bytes": str(1 << 20)}
    )
    payload = b"x" * 50_000
    with (
        Speaker(proxy.port, receive_buffer_bytes=4096) as slow,
        Speaker(proxy.port) as quick,
        Speaker(proxy.port) as publisher,
    ):
        slow.ask("SUBSCRIBE", "news")
        quick.ask("SUBSCRIBE", "news")

        counts = []
        for _ in range(400):
            counts.append(publisher.ask("PUBLISH", "news", payload))
            assert quick.read() == message("message", b"news", payload)

        assert counts[0] == b":2\r\n"
        assert counts[-1] == b":1\r\n"
    assert b"pubsub_output_limit_bytes" in proxy.log.read_bytes()


def test_two_proxies_hear_each_other(
    cluster: EmbeddedCluster,
    proxy_process: ProxyProcess,
    make_proxy: Callable[..., ProxyProcess],
) -> None:
    second = make_proxy(cluster.addresses)
    with Speaker(proxy_process.port) as here, Speaker(second.port) as there:
        here.ask("SUBSCRIBE", "news")
        here.ask("PSUBSCRIBE", "n*")

        count = there.ask("PUBLISH", "news", "hello")
        heard = here.read_many(2)
        numbers = there.ask("PUBSUB", "NUMSUB", "news")

    # At least the other proxy's own subscription of the channel; of its pattern, by chance.
    assert count in (b":1\r\n", b":2\r\n")
    assert sorted(heard) == sorted(
        [
            message("message", b"news", b"hello"),
            message("pmessage", b"n*", b"news", b"hello"),
        ]
    )
    assert numbers == b"*2\r\n$4\r\nnews\r\n:1\r\n"
    wait_for(
        lambda: not any(node.call("PUBSUB", "CHANNELS") for node in cluster.nodes),
        DEADLINE_S,
        "the end of all subscriptions",
    )


FAN = ("on", ">secret", "~*", "resetchannels", "&news:*", "+@all")
FAN_DIALOGUE = """
    a AUTH fan secret
    a SUBSCRIBE news:1
    a SUBSCRIBE other
    a SUBSCRIBE news:2 other
    a PSUBSCRIBE news:*
    a PSUBSCRIBE *
    b SUBSCRIBE news:1
    c PUBLISH news:1 hello
    c PUBLISH other hello
    c PUBSUB NUMSUB news:1 news:2 other
    c AUTH fan secret
    c PUBLISH news:1 hello
    c PUBLISH other hello
    b UNSUBSCRIBE news:1
    c PUBLISH news:1 hello
"""


@pytest.fixture
def fan(cluster: EmbeddedCluster, standalone: StandaloneServer) -> Iterator[None]:
    """Have a user everywhere who may listen to some channels only."""
    nodes = [*cluster.nodes, standalone.node]
    for node in nodes:
        node.call("ACL", "SETUSER", "fan", *FAN)
    yield
    for node in nodes:
        node.call("ACL", "DELUSER", "fan")


@pytest.mark.usefixtures("fan")
def test_a_servers_user_hears_what_it_may_hear_and_only_while_it_is_there(
    cluster: EmbeddedCluster,
    standalone: StandaloneServer,
    make_proxy: Callable[..., ProxyProcess],
) -> None:
    proxy = make_proxy(cluster.addresses, settings={"clients.acl": "pass"})

    expected = dialogue(standalone.port, FAN_DIALOGUE, resp=2)
    got = dialogue(proxy.port, FAN_DIALOGUE, resp=2, like=expected)
    with Speaker(proxy.port) as client:
        client.ask("AUTH", "fan", "secret")
        client.ask("SUBSCRIBE", "news:1")
        for node in cluster.nodes:
            node.call("ACL", "DELUSER", "fan")

        assert b"ConnectionReset" in client.read_until_quiet(DEADLINE_S)[-1]

    assert got == expected
