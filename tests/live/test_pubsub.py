"""Pub/sub of whole clusters: as a standalone server's, and from every node once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from speakers import DEADLINE_S, Speaker, dialogue, message

from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer, wait_for

pytestmark = pytest.mark.live

# {a}, {b}: names in several slots, so that several nodes have to do with it.
DIALOGUES = {
    "one channel": """
        a SUBSCRIBE news
        b PUBLISH news hello
        b PUBLISH other hello
        a UNSUBSCRIBE news
        b PUBLISH news hello
    """,
    "several at once": """
        a SUBSCRIBE x y x z
        a SUBSCRIBE y w
        b PUBLISH x 1
        b PUBLISH w 2
        a UNSUBSCRIBE x nothing x
        a UNSUBSCRIBE y z w
        a UNSUBSCRIBE
        a UNSUBSCRIBE never
    """,
    "patterns": """
        a PSUBSCRIBE n* n*
        b PUBLISH news 1
        b PUBLISH old 2
        a PSUBSCRIBE *s
        b PUBLISH n 3
        a PUNSUBSCRIBE n* nope
        b PUBLISH n 4
        b PUBLISH s 5
        a PUNSUBSCRIBE
        a PUNSUBSCRIBE
    """,
    "shard channels": """
        a SSUBSCRIBE x y
        b SPUBLISH x 1
        b PUBLISH x 2
        b SPUBLISH y 3
        a SSUBSCRIBE x
        a SUNSUBSCRIBE x z
        b SPUBLISH x 4
        a SUNSUBSCRIBE
        a SUNSUBSCRIBE
    """,
    "counts are of two kinds": """
        a SUBSCRIBE x
        a PSUBSCRIBE p*
        a SSUBSCRIBE s
        a SUBSCRIBE y
        a PUNSUBSCRIBE
        a SUNSUBSCRIBE
        a UNSUBSCRIBE x
        a UNSUBSCRIBE y
    """,
    "what a subscriber may say": """
        a SUBSCRIBE x
        a GET k
        a SET k
        a FOO bar
        a PING
        a PING hi
        a PING a b
        a CLIENT INFO
        a HELLO 3
        a MULTI
        a EXEC
        a SUBSCRIBE
        a PUBLISH x hi
        a UNSUBSCRIBE x
        a GET k
        a PING
    """,
    "reset": """
        a SUBSCRIBE x
        a PSUBSCRIBE y
        a SSUBSCRIBE z
        a RESET
        a GET k
        b PUBLISH x 1
        b SPUBLISH z 1
        b PUBSUB NUMSUB x
        b PUBSUB NUMPAT
    """,
    "quit": """
        a SUBSCRIBE x
        a QUIT
        b PUBSUB NUMSUB x
        b PUBLISH x 1
    """,
    "another protocol while subscribed": """
        a HELLO 3
        a SUBSCRIBE x
        b PUBLISH x 1
        a GET k
        a HELLO 2
        b PUBLISH x 2
        a GET k
        a HELLO 3
        a UNSUBSCRIBE x
        a HELLO 3
        b PUBLISH x 3
    """,
    "replies that are not wanted": """
        a HELLO 3
        a SUBSCRIBE x
        a CLIENT REPLY OFF
        a SUBSCRIBE y
        b PUBLISH y 1
        a GET k
        a UNSUBSCRIBE y
        a CLIENT REPLY ON
        a CLIENT REPLY SKIP
        a SUBSCRIBE z
        a GET k
    """,
    "what others see": """
        a SUBSCRIBE x y
        b PSUBSCRIBE x* y*
        c PUBSUB NUMSUB x y z x
        c PUBSUB NUMSUB
        c PUBSUB NUMPAT
        c PUBSUB CHANNELS x*
        c PUBSUB CHANNELS z*
        c PUBLISH x 1
        c CLIENT LIST TYPE pubsub
        c CLIENT KILL TYPE pubsub
        c PUBSUB NUMSUB x
        c PUBSUB NUMPAT
        c PUBSUB CHANNELS
        c PUBSUB SHARDCHANNELS
        c PUBSUB FOO
        c PUBSUB NUMPAT x
    """,
    "shard channels that others see": """
        a SSUBSCRIBE x y
        b PUBSUB SHARDNUMSUB x y z
        b PUBSUB SHARDCHANNELS x
        b PUBSUB CHANNELS
        a SUNSUBSCRIBE x
        b PUBSUB SHARDCHANNELS
        b CLIENT LIST TYPE pubsub
    """,
    "names that are any bytes": """
        a SUBSCRIBE "" "a\\r\\nb" "\\x00\\xff"
        b PUBLISH "" ""
        b PUBLISH "a\\r\\nb" "\\r\\n"
        b PUBLISH "\\x00\\xff" "\\x00"
    """,
    "patterns that are any bytes": """
        a PSUBSCRIBE * "[^a]*" ""
        b PUBLISH "" 1
        b PUBLISH zz 1
        b PUBLISH "\\x00\\xff" "\\x00"
    """,
    "in a transaction": """
        a MULTI
        a SUBSCRIBE y
        a GET k
        a EXEC
        b PUBLISH y 1
        a PING
    """,
}
RESP3_DIALOGUES = {
    "one's own messages": """
        a SUBSCRIBE x
        a PUBLISH x 1
        a SET k v
        a PUBLISH x 2
        a SSUBSCRIBE s
        a SPUBLISH s 3
        a UNSUBSCRIBE x
        a PUBLISH x 4
    """,
    "a subscriber at work": """
        a SUBSCRIBE x
        a SET k v
        a INCR n
        a MULTI
        a GET k
        a EXEC
        a MGET k n
        b PUBLISH x hello
        a CLIENT INFO
        a RESET
        a CLIENT INFO
    """,
}
CASES = [(name, resp) for resp in (2, 3) for name in DIALOGUES]
CASES += [(name, 3) for name in RESP3_DIALOGUES]


@pytest.fixture
def nothing_left(cluster: EmbeddedCluster, proxy_process: ProxyProcess) -> Iterator[None]:
    """Afterwards no node may have a subscriber any more (law 9)."""
    yield
    wait_for(
        lambda: all(subscriptions(node) == 0 for node in cluster.nodes if node.is_running),
        DEADLINE_S,
        "nodes without subscriptions",
    )


def subscriptions(node) -> int:
    """Return how many channels and patterns of all kinds a node has."""
    found = [node.call("PUBSUB", what) for what in ("CHANNELS", "SHARDCHANNELS", "NUMPAT")]
    return len(found[0]) + len(found[1]) + found[2]


@pytest.mark.parametrize(("name", "resp"), CASES, ids=[f"{n}, RESP{r}" for n, r in CASES])
@pytest.mark.usefixtures("nothing_left")
def test_pubsub_is_a_standalone_servers(
    standalone: StandaloneServer, proxy_process: ProxyProcess, name: str, resp: int
) -> None:
    text = {**DIALOGUES, **RESP3_DIALOGUES}[name]

    expected = dialogue(standalone.port, text, resp=resp)
    got = dialogue(proxy_process.port, text, resp=resp, like=expected)

    lines = [line.strip() for line in text.strip().splitlines()] + ["(the end)"] * 9
    assert list(zip(lines, got, strict=False)) == list(zip(lines, expected, strict=False))


@pytest.mark.usefixtures("nothing_left")
def test_many_clients_of_a_channel_are_one_subscription_of_one_node(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    clients = [Speaker(proxy_process.port, resp=2 + number % 2) for number in range(100)]
    for client in clients:
        assert b"subscribe" in client.ask("SUBSCRIBE", "news")

    with Speaker(proxy_process.port) as publisher:
        counts = [publisher.ask("PUBLISH", "news", number) for number in range(20)]
        numbers = publisher.ask("PUBSUB", "NUMSUB", "news")

    for client in clients:
        assert client.read_many(20) == [
            message("message", b"news", b"%d" % number, resp=client.resp) for number in range(20)
        ]
    assert counts == [b":100\r\n"] * 20
    assert numbers == b"*2\r\n$4\r\nnews\r\n:100\r\n"
    assert sum(node.call("PUBSUB", "NUMSUB", "news")[1] for node in cluster.nodes) == 1
    for client in clients:
        client.vanish()


@pytest.mark.usefixtures("nothing_left")
def test_channels_are_spread_over_the_primaries(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    names = [f"channel:{number}" for number in range(60)]
    with Speaker(proxy_process.port) as client, Speaker(proxy_process.port) as publisher:
        client.send("SUBSCRIBE", *names)
        client.read_many(len(names))

        assert {publisher.ask("PUBLISH", name, "x") for name in names} == {b":1\r\n"}
        assert len(client.read_many(len(names))) == len(names)
        assert all(len(node.call("PUBSUB", "CHANNELS")) > 5 for node in cluster.primaries())


@pytest.fixture
def noisy_nodes(cluster: EmbeddedCluster) -> Iterator[None]:
    """Have all nodes tell of every change of a key."""
    for node in cluster.nodes:
        node.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
    yield
    for node in cluster.nodes:
        node.call("CONFIG", "SET", "notify-keyspace-events", "")


@pytest.mark.parametrize("pattern", ["__keyevent@0__:*", "__key*__:*", "*"])
@pytest.mark.usefixtures("nothing_left", "noisy_nodes")
def test_keyspace_events_of_all_primaries_come_once_each(
    proxy_process: ProxyProcess, pattern: str
) -> None:
    keys = [f"key:{number}" for number in range(50)]
    with Speaker(proxy_process.port) as client, Speaker(proxy_process.port) as other:
        client.ask("PSUBSCRIBE", pattern)
        for key in keys:
            other.ask("SET", key, "v")
        other.ask("PUBLISH", "the end", "x")
        other.ask("PUBLISH", "__keyevent@0__:nonsense", "x")

        heard = client.read_until_quiet(0.5)

    events = [frame for frame in heard if b"__keyevent@0__:set\r\n" in frame]
    named = [message("pmessage", pattern.encode(), b"__keyevent@0__:set", k.encode()) for k in keys]
    assert sorted(events) == sorted(named)
    assert sum(b"the end" in frame for frame in heard) == (pattern == "*")
    spaces = [frame for frame in heard if b"__keyspace@0__:key:" in frame]
    assert len(spaces) == (0 if "event" in pattern else 50)


@pytest.mark.usefixtures("nothing_left", "noisy_nodes")
def test_events_of_one_key_come_to_its_channel(proxy_process: ProxyProcess) -> None:
    with Speaker(proxy_process.port) as client, Speaker(proxy_process.port) as other:
        for key in ("a", "b", "c", "d"):
            client.ask("SUBSCRIBE", f"__keyspace@0__:{key}")
        for key in ("a", "b", "c", "d", "e"):
            other.ask("SET", key, "v")

        heard = client.read_many(4)

        assert sorted(heard) == [
            message("message", b"__keyspace@0__:%b" % key, b"set")
            for key in (b"a", b"b", b"c", b"d")
        ]
        assert client.read_until_quiet() == []


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.usefixtures("nothing_left")
def test_redis_py_listens_unmodified(proxy_process: ProxyProcess, protocol: int) -> None:
    with redis.Redis(port=proxy_process.port, protocol=protocol) as client:
        handled: list[dict] = []
        listener = client.pubsub(ignore_subscribe_messages=True)
        listener.subscribe("news", "sport")
        listener.psubscribe(**{"w*": handled.append})
        listener.get_message(timeout=1)
        listener.get_message(timeout=1)
        listener.get_message(timeout=1)

        assert client.publish("news", "hello") == 1
        got = listener.get_message(timeout=10)
        assert client.publish("weather", "fine") == 1
        listener.get_message(timeout=10)
        listener.ping()
        listener.unsubscribe("news")
        listener.close()

    assert got is not None
    assert (got["type"], got["channel"], got["data"]) == ("message", b"news", b"hello")
    assert [each["data"] for each in handled] == [b"fine"]


@pytest.mark.usefixtures("nothing_left")
def test_clients_that_vanish_leave_nothing_at_the_nodes(proxy_process: ProxyProcess) -> None:
    for number in range(200):
        client = Speaker(proxy_process.port, resp=2 + number % 2)
        client.send("SUBSCRIBE", f"c:{number}", f"c:{number % 7}")
        client.send("PSUBSCRIBE", f"p:{number % 5}*")
        client.send("SSUBSCRIBE", f"s:{number}")
        if number % 3:
            client.read()
        client.vanish()
