"""One SCAN at a time: errors, what is sent to the servers, how much comes in one call."""

from __future__ import annotations

import pytest
from fake_cluster import TIMEOUT_S, Command, FakeCluster, FakeServer, key_slot

from proxy.commands.scan_cursor import decode_cursor
from proxy.control.scan import MAX_PAGES, scan
from proxy.resp import replies
from proxy.resp.decode import decode
from proxy.resp.encode import array, bulk, error

KEYS = [b"key:%d" % n for n in range(40)]
EMPTY = array([bulk(b"0"), array([])])


def scans(cluster: FakeCluster) -> list[Command]:
    return [
        command for server in cluster.servers for command in server.log if command[0] == b"SCAN"
    ]


def test_an_empty_cluster_is_scanned_in_one_call() -> None:
    assert FakeCluster().run(scan, [b"SCAN", b"0"]) == EMPTY


@pytest.mark.parametrize("has_slot_dicts", [True, False])
def test_a_small_database_comes_in_one_call_if_count_is_large(has_slot_dicts: bool) -> None:
    cluster = FakeCluster(has_slot_dicts=has_slot_dicts)
    cluster.put(*KEYS)

    cursor, found = decode(cluster.run(scan, [b"SCAN", b"0", b"COUNT", b"1000"]))

    assert (cursor, sorted(found)) == (b"0", sorted(KEYS))


def test_a_page_of_count_keys_ends_the_call() -> None:
    cluster = FakeCluster()
    cluster.put(*KEYS)

    cursor, found = decode(cluster.run(scan, [b"SCAN", b"0", b"COUNT", b"4"]))

    assert len(found) == 4
    assert 0 < int(cursor) < 2**53


def test_match_and_type_are_the_servers_business() -> None:
    cluster = FakeCluster()
    cluster.put(*KEYS)
    cluster.put(b"key:list", type_name=b"list")
    options = (b"match", b"key:*", b"TYPE", b"list", b"Count", b"100")
    cluster.handlers[b"SCAN"] = lambda server, command: server._scan(
        command[1], *[word.upper() if n % 2 == 0 else word for n, word in enumerate(command[2:])]
    )

    _, found = decode(cluster.run(scan, [b"SCAN", b"0", *options]))

    assert found == [b"key:list"]
    assert {command[2:] for command in scans(cluster)} == {options}


@pytest.mark.parametrize("has_slot_dicts", [True, False])
def test_a_pattern_with_a_hash_tag_asks_one_node_only(has_slot_dicts: bool) -> None:
    cluster = FakeCluster(has_slot_dicts=has_slot_dicts)
    tagged = [b"{tag}:%d" % n for n in range(5)]
    cluster.put(*KEYS, *tagged)

    cursor, found = decode(
        cluster.run(scan, [b"SCAN", b"0", b"MATCH", b"{tag}:*", b"COUNT", b"1000"])
    )

    assert (cursor, sorted(found)) == (b"0", tagged)
    assert [server for server in cluster.servers if server.log] == [cluster.owner(key_slot(b"tag"))]


def test_pattern_and_type_hold_for_an_open_slot_too() -> None:
    cluster = FakeCluster()
    cluster.put(b"{tag}:1", b"{tag}:2", b"{tag}x")
    cluster.put(b"{tag}:list", type_name=b"list")
    slot = key_slot(b"tag")
    source = cluster.owner(slot)
    cluster.open_slot(slot, next(server for server in cluster.servers if server is not source))
    cluster.move_keys(slot, 2)

    _, found = decode(
        cluster.run(scan, [b"SCAN", b"0", b"MATCH", b"*:*", b"TYPE", b"string", b"COUNT", b"99"])
    )

    assert sorted(found) == [b"{tag}:1", b"{tag}:2"]


# Errors

WRONG = {
    "a word for a cursor": [b"SCAN", b"abc"],
    "a count of zero": [b"SCAN", b"0", b"COUNT", b"0"],
    "an option without its value": [b"SCAN", b"0", b"MATCH"],
    "an unknown option": [b"SCAN", b"0", b"NOVALUES"],
}


@pytest.mark.parametrize("command", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_with_the_arguments_is_said_by_a_server(command: list[bytes]) -> None:
    cluster = FakeCluster()
    cluster.handlers[b"SCAN"] = lambda *_: error(b"ERR the server's own words")

    reply = cluster.run(scan, command)

    assert reply == b"-ERR the server's own words\r\n"
    assert scans(cluster) == [tuple(command)]


@pytest.mark.parametrize(
    "cursor",
    [b"3", b"%d" % (2**63), b"18446744073709551615", b"99999999999999999999999", b"+5", b""],
)
def test_a_cursor_that_no_scan_has_given_is_invalid(cursor: bytes) -> None:
    cluster = FakeCluster()
    cluster.handlers[b"SCAN"] = lambda *_: EMPTY

    assert cluster.run(scan, [b"SCAN", cursor]) == replies.invalid_cursor()


def test_an_error_of_a_server_is_the_clients() -> None:
    cluster = FakeCluster()
    cluster.handlers[b"SCAN"] = lambda *_: error(b"ERR unknown type name 'nope'")

    reply = cluster.run(scan, [b"SCAN", b"0", b"TYPE", b"nope"])

    assert reply == b"-ERR unknown type name 'nope'\r\n"


# Patience


def test_a_node_that_is_loading_is_waited_for() -> None:
    cluster = FakeCluster()
    cluster.put(*KEYS)

    def loading_at_first(server: FakeServer, command: Command) -> bytes:
        if cluster.refreshes < 3:
            return error(b"LOADING Valkey is loading the dataset in memory")
        return server._scan(*command[1:])

    cluster.handlers[b"SCAN"] = loading_at_first

    _, found = decode(cluster.run(scan, [b"SCAN", b"0", b"COUNT", b"1000"]))

    assert sorted(found) == sorted(KEYS)


def test_a_node_that_is_gone_is_waited_for_until_the_deadline() -> None:
    cluster = FakeCluster()
    cluster.servers[0].is_up = False

    reply = cluster.run(scan, [b"SCAN", b"0"])

    assert reply == replies.never_sent(None, TIMEOUT_S)


def test_pages_that_came_are_not_kept_back_while_the_next_node_is_gone() -> None:
    cluster = FakeCluster()
    cluster.put(*KEYS)
    first, second, _ = cluster.servers
    second.is_up = False

    cursor, found = decode(cluster.run(scan, [b"SCAN", b"0", b"COUNT", b"1000"]))

    assert sorted(found) == sorted(first.types)
    assert decode_cursor(int(cursor)).slot == min(second.owned)


def test_a_slot_without_an_owner_is_an_error_and_not_left_out() -> None:
    cluster = FakeCluster()
    cluster.let_go(0, cluster.owner(0))
    cluster.suspect()

    reply = cluster.run(scan, [b"SCAN", b"0"])

    assert reply == replies.never_sent(0, TIMEOUT_S)


# Bounds


def test_many_small_ranges_end_a_call_before_count_is_reached() -> None:
    cluster = FakeCluster(shards=2)
    _, second = cluster.servers
    for slot in range(0, 4 * MAX_PAGES, 2):
        cluster.move_slot(slot, second)
    cluster.suspect()

    cursor, _ = decode(cluster.run(scan, [b"SCAN", b"0", b"COUNT", b"1000"]))

    assert decode_cursor(int(cursor)).slot == MAX_PAGES
    assert cluster.calls == MAX_PAGES


def test_a_dictionary_too_large_for_the_cursor_still_comes_to_its_end() -> None:
    """Of 2**27 buckets a cursor can name every eighth; in between, the call goes on."""
    bits = 27
    visited: set[int] = set()

    def one_bucket(_server: FakeServer, command: Command) -> bytes:
        place = int(command[1])
        visited.add(int(f"{place:0{bits}b}"[::-1], 2))
        following = int(f"{place:0{bits}b}"[::-1], 2) + 1
        return array([bulk(b"%d" % int(f"{following:0{bits}b}"[::-1], 2)), array([])])

    cluster = FakeCluster(shards=1, has_slot_dicts=False)
    cluster.handlers[b"SCAN"] = one_bucket
    cursor = b"0"
    for _ in range(5):
        cursor, _ = decode(cluster.run(scan, [b"SCAN", cursor]))

    assert visited == set(range(5 * 8))
