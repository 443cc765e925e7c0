"""SCAN and KEYS over real clusters: the facts they are built on, and their promises.

The promise of SCAN under every sequence of events that hypothesis finds is in
tests/unit/control/test_scan_promise.py; here real servers do what they do.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.cluster.slots import key_slot
from proxy.commands.glob import compile_glob
from proxy.commands.scan_cursor import has_slot_dicts, split_server_cursor
from proxy.control.own_slots import parse_own_slots
from proxy.embedded import EmbeddedCluster, ProxyProcess, RedisNode, StandaloneServer
from proxy.embedded.migration import close_slots, move_keys, open_slots
from proxy.resp.decode import ReplyReader, Value
from proxy.resp.encode import encode_command

pytestmark = [pytest.mark.live, pytest.mark.takes(45)]

TIMEOUT_S = 30.0
STAYING = [b"key:%d" % n for n in range(3000)]
# One slot with far more keys than a page.
CROWD = [b"{crowd}:%d" % n for n in range(2000)]
CROWDED = key_slot(b"crowd")


def connect(proxy: ProxyProcess) -> redis.Redis:
    return redis.Redis(port=proxy.port, socket_timeout=TIMEOUT_S)


def fill(client: redis.Redis, keys: list[bytes]) -> None:
    client.mset(dict.fromkeys(keys, b"value"))


def scan_all(
    client: redis.Redis,
    between: Callable[[list[bytes]], None] = lambda _found: None,
    **options: object,
) -> list[bytes]:
    """Scan as a client does; ``between`` gets what came so far, after each page but the last."""
    found: list[bytes] = []
    cursor = 0
    while True:
        cursor, keys = client.scan(cursor, **options)
        found += keys
        assert 0 <= cursor < 2**63
        if cursor == 0:
            return found
        between(found)


def other_than(cluster: EmbeddedCluster, node: RedisNode) -> RedisNode:
    return next(other for other in cluster.primaries() if other is not node)


@contextmanager
def half_moved(cluster: EmbeddedCluster, slot: int) -> Iterator[tuple[RedisNode, RedisNode]]:
    """Keep a slot open, with half of its keys at the target; then finish."""
    source = cluster.primary_for(slot)
    target = other_than(cluster, source)
    open_slots([slot], source, target)
    keys = source.call("CLUSTER", "GETKEYSINSLOT", slot, 1_000_000)
    host, port = target.address.host, target.port
    source.call("MIGRATE", host, port, "", 0, 5000, "KEYS", *keys[: len(keys) // 2])
    try:
        yield source, target
    finally:
        move_keys([slot], source, target)
        others = [node for node in cluster.primaries() if node not in (source, target)]
        close_slots([slot], source, target, others)
        cluster.wait_until_agreed()


# ---- facts about servers (proxy/commands/scan_cursor.py)


def server_info(node: RedisNode) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in node.info("server").items()}


def test_a_servers_cursor_is_what_its_version_says(cluster: EmbeddedCluster, engine: str) -> None:
    node = cluster.primary_for(CROWDED)
    for start in range(0, len(CROWD), 100):
        for key in CROWD[start : start + 100]:
            node.call("SET", key, "")
    is_by_slot = has_slot_dicts(server_info(node))
    slots: list[int] = []
    cursors: list[int] = []
    cursor = b"0"
    while True:
        cursor, keys = node.call("SCAN", cursor, "COUNT", 50)
        slots += [key_slot(key) for key in keys]
        if cursor == b"0":
            break
        cursors.append(int(cursor))

    assert is_by_slot == (engine == "valkey")
    assert len(cursors) > 30
    if is_by_slot:
        assert {split_server_cursor(cursor)[0] for cursor in cursors} == {CROWDED}
    # Both kinds count the buckets of a table of 2**n with the highest bit first.
    places = [split_server_cursor(cursor)[1] if is_by_slot else cursor for cursor in cursors]
    bits = max(places).bit_length()
    ranks = [int(f"{place:0{bits}b}"[::-1], 2) for place in places]
    assert ranks == sorted(ranks)


def test_a_server_with_slot_dictionaries_begins_at_the_slot_it_is_told(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    node = cluster.primaries()[0]
    if not has_slot_dicts(server_info(node)):
        pytest.skip("this engine has one dictionary for each node")
    with connect(proxy_process) as client:
        fill(client, STAYING)
    slot = cluster.slots_of(node)[1000]

    _, keys = node.call("SCAN", slot, "COUNT", 20)

    slots = [key_slot(key) for key in keys]
    assert slots == sorted(slots)
    assert slots[0] >= slot


def test_a_node_tells_what_it_gives_away_and_gets_and_lists_what_it_gets(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    with connect(proxy_process) as client:
        fill(client, CROWD)

    with half_moved(cluster, CROWDED) as (source, target):
        giving = parse_own_slots(source.call_text("CLUSTER", "NODES"))
        getting = parse_own_slots(target.call_text("CLUSTER", "NODES"))
        listed = target.call("KEYS", "*")

    assert list(giving.migrating) == [CROWDED]
    assert giving.closed_until(CROWDED) == CROWDED
    assert getting.importing == {CROWDED}
    assert not getting.is_closed(CROWDED)
    assert len(listed) == len(CROWD) // 2


# Bytes that mean something in a pattern, bytes that mean something to a regular
# expression, and bytes on both sides of a C char's sign.
PIECES = st.sampled_from([bytes([byte]) for byte in b"*?[]^-\\abc.\n\x00\x01\x7f\x80\xff"])
WORDS = st.lists(PIECES, max_size=8).map(b"".join)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(patterns=st.lists(WORDS, min_size=1, max_size=20), keys=st.sets(WORDS, max_size=40))
def test_patterns_match_what_the_servers_own_match(
    standalone: StandaloneServer, patterns: list[bytes], keys: set[bytes]
) -> None:
    with standalone.node.connect() as server:
        server.call("FLUSHALL")
        server.call_many([("SET", key, "") for key in keys] or [("PING",)])
        answers = server.call_many([("KEYS", pattern) for pattern in patterns])

    for pattern, answer in zip(patterns, answers, strict=True):
        assert {key for key in keys if compile_glob(pattern)(key)} == set(answer), pattern


# ---- in a quiet cluster


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("count", [None, 1, 1000])
def test_each_key_comes_once(
    proxy_process: ProxyProcess, cluster: EmbeddedCluster, protocol: int, count: int | None
) -> None:
    keys = (STAYING + CROWD)[:: 1 if count != 1 else 5]
    with redis.Redis(
        port=proxy_process.port, protocol=protocol, socket_timeout=TIMEOUT_S
    ) as client:
        fill(client, keys)

        found = scan_all(client, count=count)

        assert sorted(found) == sorted(keys)
        assert sorted(client.keys("*")) == sorted(keys)
        assert client.dbsize() == len(keys)


def test_pattern_and_type_choose_as_on_a_standalone_server(
    proxy_process: ProxyProcess, cluster: EmbeddedCluster, standalone: StandaloneServer
) -> None:
    alone = redis.Redis(port=standalone.node.port)
    with connect(proxy_process) as client, alone:
        for one in (client, alone):
            fill(one, STAYING[:300])
            one.rpush(b"list:1", b"x")
            one.rpush(b"{key}:list", b"x")
            one.zadd(b"zset:1", {b"x": 1})
        for options in (
            {"match": b"key:1*"},
            {"match": b"{key}:*"},
            {"match": b"key:7"},
            {"match": b"no such"},
            {"_type": "list"},
            {"_type": "ZSET", "match": b"*1"},
        ):
            expected = sorted(scan_all(alone, **options))

            assert sorted(scan_all(client, **options)) == expected, options


def test_a_small_database_comes_in_one_page(
    proxy_process: ProxyProcess, cluster: EmbeddedCluster
) -> None:
    with connect(proxy_process) as client:
        assert client.scan(0) == (0, [])
        fill(client, STAYING[:50])

        cursor, keys = client.scan(0, count=1000)

    assert (cursor, sorted(keys)) == (0, sorted(STAYING[:50]))


def ask(port: int, *args: bytes) -> Value:
    """Return the decoded reply to one command."""
    reader = ReplyReader()
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        connection.sendall(encode_command(*args))
        while not (values := reader.feed(connection.recv(1 << 16))):
            pass
    return values[0]


WRONG = {
    "no cursor": [b"SCAN"],
    "a word for a cursor": [b"SCAN", b"abc"],
    "a cursor with a blank": [b"SCAN", b"5 "],
    "a cursor beyond 64 bits": [b"SCAN", b"18446744073709551616"],
    "an unknown option": [b"SCAN", b"0", b"FOO", b"x"],
    "an option without its value": [b"SCAN", b"0", b"COUNT"],
    "a count of zero": [b"SCAN", b"0", b"COUNT", b"0"],
    "a count that is no number": [b"SCAN", b"0", b"COUNT", b"x"],
    "a count beyond 64 bits": [b"SCAN", b"0", b"COUNT", b"9" * 30],
    "an option of HSCAN": [b"SCAN", b"0", b"NOVALUES"],
    "a wrong cursor and a wrong option": [b"SCAN", b"x", b"FOO"],
    "an unknown type": [b"SCAN", b"0", b"TYPE", b"nope"],
    "KEYS of nothing": [b"KEYS"],
}


@pytest.mark.parametrize("command", WRONG.values(), ids=WRONG.keys())
def test_errors_are_those_of_a_standalone_server(
    proxy_process: ProxyProcess,
    cluster: EmbeddedCluster,
    standalone: StandaloneServer,
    command: list[bytes],
) -> None:
    expected = ask(standalone.node.port, *command)

    assert repr(ask(proxy_process.port, *command)) == repr(expected)


# ---- while the cluster changes


def test_keys_on_both_sides_of_an_open_slot_are_found_and_counted_once(
    proxy_process: ProxyProcess, cluster: EmbeddedCluster
) -> None:
    everything = sorted(STAYING + CROWD)
    with connect(proxy_process) as client:
        fill(client, everything)
        client.rpush(b"{crowd}:list", b"x")
        client.set(b"{crowd}:gone", b"x", px=1)
        with half_moved(cluster, CROWDED):
            assert sorted(scan_all(client, count=100)) == sorted([*everything, b"{crowd}:list"])
            assert scan_all(client, _type="list") == [b"{crowd}:list"]
            assert sorted(scan_all(client, match=b"{crowd}:1?")) == sorted(CROWD[10:20])
            assert sorted(client.keys(b"*")) == sorted([*everything, b"{crowd}:list"])
            assert client.keys(b"{crowd}:l*") == [b"{crowd}:list"]
            assert client.dbsize() == len(everything) + 1


@pytest.mark.parametrize("count", [20, 500])
def test_a_scan_while_slots_move_misses_nothing(
    proxy_process: ProxyProcess, cluster: EmbeddedCluster, count: int
) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []
    slots = sorted({key_slot(key) for key in STAYING[:100]} | {CROWDED})

    def keep_moving() -> None:
        try:
            while not stop.is_set():
                for source in cluster.primaries():
                    there = set(cluster.slots_of(source))
                    mine = [slot for slot in slots if slot in there]
                    cluster.move_slots(mine, source, other_than(cluster, source))
        except BaseException as problem:  # noqa: BLE001 - shown by the test
            failures.append(problem)

    with connect(proxy_process) as client:
        fill(client, STAYING + CROWD)
        mover = threading.Thread(target=keep_moving)
        mover.start()
        try:
            for _ in range(2 if count == 20 else 5):
                assert set(STAYING + CROWD) <= set(scan_all(client, count=count))
                assert sorted(client.keys(b"*")) == sorted(STAYING + CROWD)
                assert client.dbsize() == len(STAYING + CROWD)
        finally:
            stop.set()
            mover.join(TIMEOUT_S)
            cluster.wait_until_agreed()

    assert failures == []


def test_a_scan_during_failovers_misses_nothing(
    private_cluster: EmbeddedCluster, private_proxy: ProxyProcess
) -> None:
    """Every primary is killed, when the scan is in the middle of its keys."""
    first_primaries = private_cluster.primaries()
    seen: Counter[RedisNode] = Counter()
    killed: list[RedisNode] = []

    def kill_one(found: list[bytes]) -> None:
        private_cluster.wait_until_agreed()
        node = private_cluster.primary_for(found[-1])
        seen[node] += 1
        if node in first_primaries and seen[node] > 20:
            killed.append(node)
            node.kill()

    with connect(private_proxy) as client:
        fill(client, STAYING + CROWD)
        private_cluster.wait_until_in_sync()

        found = scan_all(client, kill_one, count=20)

    assert set(killed) == set(first_primaries)
    assert set(STAYING + CROWD) <= set(found)


def test_a_scan_while_servers_restart_misses_nothing(
    make_cluster: Callable[..., EmbeddedCluster], make_proxy: Callable[..., ProxyProcess]
) -> None:
    """Each server comes back with its data before anybody misses it, and with other hash seeds."""
    cluster = make_cluster(replicas=0, node_timeout_ms=15000, settings={"appendonly": "yes"})
    proxy = make_proxy(cluster.addresses)
    restarted: list[RedisNode] = []

    def restart_one(found: list[bytes]) -> None:
        if len(found) > 1000 * (len(restarted) + 1) and len(restarted) < 4:
            node = cluster.primary_for(found[-1])
            node.restart()
            restarted.append(node)

    with connect(proxy) as client:
        fill(client, STAYING + CROWD)

        found = scan_all(client, restart_one, count=20)

    assert len(restarted) == 4
    assert set(STAYING + CROWD) <= set(found)
