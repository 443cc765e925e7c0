"""Commands about all keys: the cluster behind the proxy looks like one keyspace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from differential.effort import EFFORT
from differential.requests import Request
from differential.sides import Pair
from differential.vocabulary import ODD_KEYS
from differential.wire import RawConnection, parse_whole
from proxy.cluster.topology import Address
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

KEYS = st.sampled_from([b"k%d" % number for number in range(200)] + [*ODD_KEYS])
PATTERNS = st.sampled_from([b"*", b"k1*", b"k?", b"k[0-4]9", b"*7*", b"nosuch", b"k7", b"\\*", b""])
MAKE_ONE: dict[bytes, tuple[bytes, ...]] = {
    b"string": (b"SET", b"v"),
    b"list": (b"RPUSH", b"v"),
    b"hash": (b"HSET", b"f", b"v"),
    b"zset": (b"ZADD", b"1", b"m"),
}
KEYSPACES = st.dictionaries(KEYS, st.sampled_from(list(MAKE_ONE)), max_size=120)


def writes(keyspace: dict[bytes, bytes]) -> list[Request]:
    """Return the requests that make a keyspace."""
    return [
        Request((MAKE_ONE[kind][0], key, *MAKE_ONE[kind][1:])) for key, kind in keyspace.items()
    ]


def scan(address: Address, resp: int, options: list[bytes | int]) -> list[bytes]:
    """Return what SCAN gives, from cursor 0 until it is 0 again; an error reply as it is."""
    found: list[bytes] = []
    cursor = b"0"
    with RawConnection(address) as connection:
        connection.say(encode_command("HELLO", resp))
        while True:
            reply = connection.say(encode_command("SCAN", cursor, *options))
            if reply.startswith(b"-"):
                return [reply]
            cursor_frame, keys = parse_whole(reply).items or ()
            assert int(cursor_frame.text) < 1 << 64
            cursor = cursor_frame.text
            found += [key.text for key in keys.items or ()]
            if cursor == b"0":
                return found


@EFFORT
@given(
    keyspace=KEYSPACES,
    resp=st.sampled_from([2, 3]),
    pattern=st.none() | PATTERNS,
    count=st.none() | st.sampled_from([1, 7, 1000, 0, -1]),
    kind=st.none() | st.sampled_from([*MAKE_ONE, b"stream", b"nosuch"]),
)
def test_scan_until_done_finds_what_a_standalone_server_finds(
    pair: Pair,
    keyspace: dict[bytes, bytes],
    resp: int,
    pattern: bytes | None,
    count: int | None,
    kind: bytes | None,
) -> None:
    pair.start_afresh()
    pair.compare(writes(keyspace), cuts=())
    options: list[bytes | int] = []
    options += [] if pattern is None else [b"MATCH", pattern]
    options += [] if count is None else [b"COUNT", count]
    options += [] if kind is None else [b"TYPE", kind]

    expected, got = (scan(address, resp, options) for address in (pair.server, pair.proxy))

    assert sorted(set(got)) == sorted(set(expected)), options


@EFFORT
@given(keyspace=KEYSPACES, resp=st.sampled_from([2, 3]), patterns=st.lists(PATTERNS, max_size=5))
def test_counts_and_patterns_are_of_all_keys(
    pair: Pair, keyspace: dict[bytes, bytes], resp: int, patterns: list[bytes]
) -> None:
    pair.start_afresh()
    questions = [(b"DBSIZE",), *((b"KEYS", pattern) for pattern in patterns), (b"RANDOMKEY",)]

    pair.compare(writes(keyspace) + [Request(words) for words in questions], resp=resp, cuts=())


@EFFORT
@given(keyspace=KEYSPACES.filter(bool))
def test_a_random_key_is_one_of_the_keys(pair: Pair, keyspace: dict[bytes, bytes]) -> None:
    pair.start_afresh()
    pair.compare(writes(keyspace), cuts=())

    with RawConnection(pair.proxy) as client:
        keys = {parse_whole(client.say(encode_command("RANDOMKEY"))).text for _ in range(5)}

    assert keys <= set(keyspace)


@pytest.mark.parametrize("how", [(), (b"ASYNC",), (b"SYNC",), (b"NOSUCH",), (b"ASYNC", b"SYNC")])
@pytest.mark.parametrize("command", [b"FLUSHALL", b"FLUSHDB"])
def test_flushing_empties_every_shard(pair: Pair, command: bytes, how: tuple[bytes, ...]) -> None:
    pair.start_afresh(with_data=True)

    pair.compare([Request((command, *how)), Request((b"DBSIZE",)), Request((b"KEYS", b"*"))])


def test_info_has_the_fields_of_a_standalone_server(pair: Pair) -> None:
    pair.start_afresh(with_data=True)
    sections = ["", "all", "everything", "server", "KEYSPACE", "nosuch", "memory", "cluster"]

    pair.compare(
        [Request((b"INFO", *section.encode().split())) for section in sections]
        + [Request((b"INFO", b"server", b"clients"))]
    )


def test_info_tells_what_clients_look_for(pair: Pair) -> None:
    pair.start_afresh(with_data=True)
    pair.compare([Request((b"SET", b"volatile", b"v", b"EX", b"1000"))])

    with RawConnection(pair.server) as server, RawConnection(pair.proxy) as client:
        size = int(parse_whole(server.say(encode_command("DBSIZE"))).text)
        lines = parse_whole(client.say(encode_command("INFO"))).text.split(b"\r\n")

    keyspace = next(line for line in lines if line.startswith(b"db0:"))
    assert keyspace.startswith(b"db0:keys=%d,expires=4," % size)
    assert {b"redis_mode:standalone", b"server_mode:standalone"} & set(lines)
    assert {b"role:master", b"cluster_enabled:0", b"tcp_port:%d" % pair.proxy.port} <= set(lines)
