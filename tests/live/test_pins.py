"""Pinned keys: the same dialogue with a standalone server, and with the proxy before a cluster.

Every key begins with ``bull:``, which is pinned, or else everything is. So no key lies
alone in a slot, and the cluster can do whatever one server can, in the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from differential.wire import RawConnection, parse_whole

from proxy.cluster.topology import Address
from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

PINS = {"a prefix": "bull:=bull", "everything": "=all", "both": "bull:q=one,=all"}
UNORDERED = frozenset({"KEYS", "SMEMBERS", "SUNION", "SINTER", "SDIFF"})

DIALOGUES: dict[str, list[str]] = {
    "strings": [
        "MSET bull:a 1 bull:b 2 bull:c 3",
        "MSETNX bull:c 4 bull:d 4",
        "MSETNX bull:e 5 bull:f 6",
        "MGET bull:a bull:f bull:none",
        "RENAME bull:a bull:z",
        "RENAMENX bull:z bull:b",
        "COPY bull:z bull:y",
        "BITOP OR bull:or bull:z bull:b",
        "LCS bull:y bull:z",
        "PFADD bull:p1 a b",
        "PFADD bull:p2 b c",
        "PFMERGE bull:p3 bull:p1 bull:p2",
        "PFCOUNT bull:p1 bull:p2 bull:p3",
        "EXISTS bull:a bull:b bull:b bull:z",
        "OBJECT ENCODING bull:b",
        "OBJECT ENCODING bull:none",
        "DEL bull:a bull:b bull:z",
        "DBSIZE",
    ],
    "sets and lists": [
        "SADD bull:s1 1 2 3",
        "SADD bull:s2 2 3 4",
        "SUNIONSTORE bull:u bull:s1 bull:s2",
        "SINTERCARD 2 bull:s1 bull:s2",
        "SMOVE bull:s1 bull:s2 1",
        "SUNION bull:s1 bull:s2",
        "ZADD bull:z1 1 a 2 b",
        "ZADD bull:z2 3 b 4 c",
        "ZUNIONSTORE bull:z3 2 bull:z1 bull:z2 WEIGHTS 1 10",
        "ZRANGE bull:z3 0 -1 WITHSCORES",
        "ZRANGESTORE bull:z4 bull:z3 0 1",
        "ZDIFF 2 bull:z3 bull:z4",
        "RPUSH bull:l1 c a b",
        "LMOVE bull:l1 bull:l2 LEFT RIGHT",
        "RPOPLPUSH bull:l1 bull:l2",
        "SORT bull:l2 ALPHA STORE bull:l3",
        "LRANGE bull:l3 0 -1",
        "SORT bull:l3 BY nosort",
        "GEOADD bull:g 13.3 38.1 Palermo",
        "GEOSEARCHSTORE bull:g2 bull:g FROMMEMBER Palermo BYRADIUS 1 km",
        "INCR bull:l3",
    ],
    "popped from one of several": [
        "RPUSH bull:l 1 2 3 4 5 6",
        "LMPOP 2 bull:none bull:l LEFT",
        "BLPOP bull:none bull:l 0",
        "BRPOP bull:l bull:none 1",
        "BLMPOP 0 2 bull:none bull:l RIGHT COUNT 2",
        "BLPOP bull:none bull:nothing 0.01",
        "LMPOP 1 bull:none LEFT",
        "BLMOVE bull:l bull:m LEFT LEFT 0",
        "ZADD bull:z 1 a 2 b 3 c 4 d",
        "ZMPOP 2 bull:none bull:z MIN",
        "BZPOPMIN bull:none bull:z 0",
        "BZPOPMAX bull:z 0",
        "BZMPOP 0.01 1 bull:none MAX",
        "BZMPOP 0 2 bull:none bull:z MAX",
        "LMPOP x bull:l LEFT",
        "BLPOP bull:l nonsense",
    ],
    "streams": [
        "XADD bull:x 1-1 f v",
        "XADD bull:y 2-1 f bull:v",
        "XREAD COUNT 5 STREAMS bull:x bull:y 0 0",
        "XREAD BLOCK 10 STREAMS bull:x bull:y $ $",
        "XREAD STREAMS bull:none 0",
        "XREADGROUP GROUP g me STREAMS bull:x >",
        "XGROUP CREATE bull:x g 0",
        "XGROUP CREATE bull:none g 0",
        "XREADGROUP GROUP g me COUNT 1 STREAMS bull:x >",
        "XREADGROUP GROUP g me BLOCK 10 STREAMS bull:x >",
        "XPENDING bull:x g",
        "XPENDING bull:x none",
        "XCLAIM bull:y g me 0 1-1",
        "XAUTOCLAIM bull:none g me 0 0",
        "XINFO CONSUMERS bull:y none",
        "XGROUP SETID bull:y none 0",
        "XGROUP CREATECONSUMER bull:y none me",
        "XACK bull:x g 1-1",
    ],
    "scripts": [
        "MSET bull:a 1 bull:b 2",
        "EVAL returnredis.call('MGET',KEYS[1],KEYS[2]) 2 bull:a bull:b",
        "EVAL returnARGV[1] 1 bull:a bull:x",
        "EVAL returnredis.call('INCRBY',KEYS[1],ARGV[1]) 1 bull:a 5",
        "EVAL returnredis.call('SET',KEYS[2],redis.call('GET',KEYS[1])) 2 bull:a bull:c",
        "GET bull:c",
        "SCRIPT LOAD return{#KEYS,redis.call('GET',KEYS[1])}",
        "EVALSHA 9a8ca4fa5bd4fa4e8c6d1f1bbf1fb1d6c9a2b0d8 1 bull:a",
    ],
    "names": [
        "SET bull:1 x",
        "RANDOMKEY",
        "MSET bull:2 x bull:q3 x",
        "KEYS *",
        "KEYS bull:*",
        "KEYS b*",
        "KEYS *l:[12]",
        "KEYS {bull}*",
        "KEYS {*",
        "KEYS none:*",
        "COMMAND GETKEYS MSET bull:1 a bull:2 b",
        "FLUSHALL",
        "KEYS *",
        "RANDOMKEY",
    ],
    "transactions": [
        "MULTI",
        "SET bull:a 1",
        "INCR bull:a",
        "RPUSH bull:l x y",
        "LMPOP 2 bull:none bull:l LEFT",
        "XADD bull:s 1-1 f v",
        "XREAD STREAMS bull:s 0",
        "BLPOP bull:l 0",
        "GET bull:none",
        "EXEC",
        "WATCH bull:a bull:b",
        "SET bull:b changed",
        "MULTI",
        "GET bull:a",
        "EXEC",
        "MULTI",
        "XPENDING bull:s none",
        "LMPOP 1 bull:none LEFT",
        "EXEC",
        "MULTI",
        "SET bull:a",
        "EXEC",
        "MULTI",
        "DISCARD",
        "GET bull:b",
    ],
}


@dataclass(frozen=True)
class Sides:
    """Where to hold a dialogue, and with what it must be the same."""

    server: Address
    proxy: Address

    def clients(self, resp: int) -> tuple[RawConnection, RawConnection]:
        """Return a new client of each side."""
        return connect(self.server, resp), connect(self.proxy, resp)


def connect(address: Address, resp: int) -> RawConnection:
    client = RawConnection(address)
    if resp == 3:
        client.say(encode_command("HELLO", 3))
    return client


@pytest.fixture(scope="module")
def proxies(cluster: EmbeddedCluster) -> Iterator[Callable[[str], ProxyProcess]]:
    """Proxies with pins, started when they are asked for."""
    started: dict[str, ProxyProcess] = {}

    def start(pins: str) -> ProxyProcess:
        if pins not in started:
            started[pins] = ProxyProcess(cluster.addresses, settings={"pin": pins}).start()
        return started[pins]

    yield start
    for proxy in started.values():
        trace = proxy.tracebacks()
        proxy.stop()
        assert not trace, trace


@pytest.fixture(params=PINS.values(), ids=PINS.keys())
def sides(
    request: pytest.FixtureRequest,
    standalone: StandaloneServer,
    cluster: EmbeddedCluster,
    proxies: Callable[[str], ProxyProcess],
) -> Sides:
    proxy = proxies(request.param)
    return Sides(standalone.address, proxy.address)


def comparable(words: list[str], frame: bytes) -> object:
    """Return a reply as it is, but what comes in any order in one order."""
    found = parse_whole(frame)
    if words[0].upper() in UNORDERED and found.items is not None:
        return found.kind, sorted(item.text for item in found.items)
    return frame


def ask(client: RawConnection, line: str) -> object:
    words = line.split(" ")
    return comparable(words, client.say(encode_command(*words)))


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("lines", DIALOGUES.values(), ids=DIALOGUES.keys())
def test_a_dialogue_over_pinned_keys_is_that_of_a_standalone_server(
    sides: Sides, lines: list[str], resp: int
) -> None:
    server, proxy = sides.clients(resp)
    with server, proxy:
        for line in lines:
            words = [word.replace("return", "return ", 1) for word in line.split(" ")]
            request = encode_command(*words)

            wanted, got = server.say(request), proxy.say(request)

            assert comparable(words, got) == comparable(words, wanted), line


@pytest.mark.parametrize("resp", [2, 3])
def test_a_scan_finds_every_key_by_its_shown_name_and_no_other(sides: Sides, resp: int) -> None:
    with connect(sides.proxy, resp) as proxy:
        names = {f"bull:{number}" for number in range(500)} | {f"bull:q{n}" for n in range(50)}
        proxy.say(encode_command("MSET", *[word for name in names for word in (name, "x")]))

        def scan(*options: str) -> set[str]:
            cursor, found = "0", set()
            while True:
                page = parse_whole(proxy.say(encode_command("SCAN", cursor, *options)))
                assert page.items is not None
                found |= {item.text.decode() for item in page.items[1].items or ()}
                cursor = page.items[0].text.decode()
                if cursor == "0":
                    return found

        assert scan() == names
        assert scan("MATCH", "bull:q*", "COUNT", "100") == {n for n in names if "q" in n}
        assert scan("MATCH", "b*l:1?") == {f"bull:{n}" for n in range(10, 20)}
        assert scan("MATCH", "{*") == set()
        assert scan("COUNT", "1000", "TYPE", "hash") == set()


@pytest.mark.parametrize("resp", [2, 3])
def test_a_client_that_waits_hears_of_the_key_that_came(sides: Sides, resp: int) -> None:
    answers = []
    for side in (sides.server, sides.proxy):
        with connect(side, resp) as waiting, connect(side, 2) as other:
            waiting.send(encode_command("BLPOP", "bull:a", "bull:q", 5))
            waiting.send(
                encode_command("XREAD", "BLOCK", 5000, "STREAMS", "bull:s", "bull:t", 0, 0)
            )
            while b"cmd=blpop" not in other.say(encode_command("CLIENT", "LIST")):
                pass
            other.say(encode_command("RPUSH", "bull:q", "x"))
            popped = waiting.receive()
            other.say(encode_command("XADD", "bull:t", "1-1", "f", "v"))
            answers.append((popped, waiting.receive()))

    assert answers[0] == answers[1]


@pytest.mark.parametrize("resp", [2, 3])
def test_events_of_pinned_keys_come_by_their_shown_names(
    sides: Sides, resp: int, cluster: EmbeddedCluster, standalone: StandaloneServer
) -> None:
    for node in (*cluster.nodes, standalone.node):
        node.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
    heard = []
    for side in (sides.server, sides.proxy):
        with connect(side, resp) as listener, connect(side, 2) as other:
            frames = [
                listener.say(encode_command("SUBSCRIBE", "__keyspace@0__:bull:a", "news")),
                listener.receive(),
                listener.say(encode_command("PSUBSCRIBE", "__keyspace@0__:bull:q*")),
                listener.say(encode_command("SUBSCRIBE", "__keyevent@0__:lpush")),
            ]
            other.say(encode_command("SET", "bull:a", 1))
            frames.append(listener.receive())
            other.say(encode_command("SET", "bull:q1", 1))
            frames.append(listener.receive())
            other.say(encode_command("LPUSH", "bull:l", 1))
            frames.append(listener.receive())
            other.say(encode_command("PUBLISH", "news", "{bull}bull:1"))
            frames.append(listener.receive())
            frames.append(listener.say(encode_command("UNSUBSCRIBE", "__keyspace@0__:bull:a")))
            frames.append(listener.say(encode_command("PUNSUBSCRIBE")))
            heard.append(frames)
    for node in (*cluster.nodes, standalone.node):
        node.call("CONFIG", "SET", "notify-keyspace-events", "")

    assert heard[1] == heard[0]


@pytest.mark.parametrize("mode", [(), ("BCAST", "PREFIX", "bull:"), ("BCAST", "PREFIX", "bu")])
def test_invalidations_name_keys_as_they_are_shown(sides: Sides, mode: tuple[str, ...]) -> None:
    heard = []
    for side in (sides.server, sides.proxy):
        with connect(side, 3) as cache, connect(side, 2) as other:
            frames = [cache.say(encode_command("CLIENT", "TRACKING", "ON", *mode))]
            frames.append(cache.say(encode_command("GET", "bull:a")))
            other.say(encode_command("SET", "bull:a", 1))
            frames.append(cache.receive())
            frames.append(cache.say(encode_command("CLIENT", "TRACKING", "OFF")))
            heard.append(frames)

    assert heard[1] == heard[0]


def test_monitor_and_the_slow_log_tell_of_shown_names(
    sides: Sides, cluster: EmbeddedCluster
) -> None:
    for node in cluster.nodes:
        node.call("SLOWLOG", "RESET")
        node.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
    with connect(sides.proxy, 2) as monitor, connect(sides.proxy, 2) as client:
        assert monitor.say(encode_command("MONITOR")) == b"+OK\r\n"
        client.say(encode_command("SET", "bull:monitored", 1))
        line = monitor.receive()
        log = client.say(encode_command("SLOWLOG", "GET", 128))
    for node in cluster.nodes:
        node.call("CONFIG", "SET", "slowlog-log-slower-than", "10000")

    assert b'"SET" "bull:monitored" "1"' in line
    assert b"$14\r\nbull:monitored\r\n" in log
    assert b"}bull:" not in log


def test_keys_that_no_pin_fits_stay_where_they_are(
    cluster: EmbeddedCluster, proxies: Callable[[str], ProxyProcess]
) -> None:
    with RawConnection(proxies("bull:=bull").address) as client:
        client.say(encode_command("MSET", "bull:1", "x", "other", "y", "{tag}1", "z"))
        refused = client.say(encode_command("RENAME", "other", "bull:1"))

    stored = {name for node in cluster.nodes for name in node.call("KEYS", "*")}
    assert stored == {b"{bull}bull:1", b"other", b"{tag}1"}
    assert refused.startswith(b"-CROSSSLOT")
