"""Commands that concern many nodes: who is asked, what comes back, what a failed part means."""

from __future__ import annotations

from collections import Counter

import pytest
from fake_cluster import TIMEOUT_S, Command, FakeCluster, FakeServer

from proxy.commands.spec import CommandSpec
from proxy.commands.table import find_spec, snapshot_table
from proxy.control.fanout import fan_out
from proxy.errors import BackendUnavailable
from proxy.resp import replies
from proxy.resp.decode import decode
from proxy.resp.encode import array, bulk, error, integer, simple

TABLE = {spec.name: spec for spec in snapshot_table()}
OK = simple(b"OK")


def spec_of(*args: bytes) -> CommandSpec:
    spec = find_spec(TABLE, list(args))
    assert spec is not None
    return spec


def ask(cluster: FakeCluster, *args: bytes, resp: int = 2) -> bytes:
    """Run one command of a client through the fan-out."""
    return cluster.run(fan_out, spec_of(*args), list(args), resp=resp)


def answers(cluster: FakeCluster, name: bytes, *frames: bytes) -> None:
    """Have the servers answer one command with these frames, the first server first."""

    def handler(server: FakeServer, _command: Command) -> bytes:
        return frames[cluster.servers.index(server) % len(frames)]

    cluster.handlers[name] = handler


def asked(cluster: FakeCluster, name: bytes) -> list[int]:
    """Return how often each server was sent a command."""
    return [sum(command[0] == name for command in server.log) for server in cluster.servers]


def with_replica(cluster: FakeCluster) -> FakeServer:
    replica = cluster.add_server()
    replica.is_primary = False
    cluster.suspect()
    return replica


# Who is asked, and what becomes of the replies


MERGED = {
    "DBSIZE": ([b"DBSIZE"], [integer(5), integer(7), integer(0)], integer(12)),
    "FLUSHALL": ([b"FLUSHALL", b"ASYNC"], [OK, OK, OK], OK),
    "SCRIPT LOAD": ([b"SCRIPT", b"LOAD", b"return 1"], [bulk(b"sha")] * 3, bulk(b"sha")),
    "SCRIPT EXISTS": (
        [b"SCRIPT", b"EXISTS", b"a", b"b"],
        [array([integer(1), integer(1)]), array([integer(1), integer(0)])],
        array([integer(1), integer(0)]),
    ),
    "FUNCTION DELETE": ([b"FUNCTION", b"DELETE", b"lib"], [OK, OK, OK], OK),
    "SLOWLOG LEN": ([b"SLOWLOG", b"LEN"], [integer(1), integer(2), integer(4)], integer(7)),
    "LASTSAVE": ([b"LASTSAVE"], [integer(30), integer(10), integer(20)], integer(10)),
}


@pytest.mark.parametrize(("args", "frames", "expected"), MERGED.values(), ids=MERGED.keys())
def test_every_primary_is_asked_and_the_replies_become_one(
    args: list[bytes], frames: list[bytes], expected: bytes
) -> None:
    cluster = FakeCluster()
    answers(cluster, args[0], *frames)

    reply = ask(cluster, *args)

    assert reply == expected
    assert asked(cluster, args[0]) == [1, 1, 1]
    assert all(tuple(args) in server.log for server in cluster.servers)


def test_all_nodes_are_the_replicas_too() -> None:
    cluster = FakeCluster()
    with_replica(cluster)
    answers(cluster, b"SCRIPT", bulk(b"sha"))

    ask(cluster, b"SCRIPT", b"LOAD", b"return 1")

    assert asked(cluster, b"SCRIPT") == [1, 1, 1, 1]


def test_all_shards_are_the_primaries_only() -> None:
    cluster = FakeCluster()
    with_replica(cluster)
    answers(cluster, b"FLUSHALL", OK)

    ask(cluster, b"FLUSHALL")

    assert asked(cluster, b"FLUSHALL") == [1, 1, 1, 0]


def test_a_new_primary_without_slots_is_asked_too() -> None:
    """It may hold keys of a slot that it is just being given."""
    cluster = FakeCluster()
    cluster.add_server()
    cluster.suspect()
    answers(cluster, b"FLUSHALL", OK)

    ask(cluster, b"FLUSHALL")

    assert asked(cluster, b"FLUSHALL") == [1, 1, 1, 1]


@pytest.mark.parametrize(("resp", "head"), [(2, b"$30\r\n"), (3, b"=34\r\ntxt:")])
def test_info_is_one_text_of_the_clients_protocol(resp: int, head: bytes) -> None:
    cluster = FakeCluster()
    answers(cluster, b"INFO", bulk(b"# Cluster\r\ncluster_enabled:1\r\n"))

    reply = ask(cluster, b"INFO", b"cluster", resp=resp)

    assert reply == head + b"# Cluster\r\ncluster_enabled:0\r\n\r\n"


def test_the_longest_log_entries_of_all_come_newest_first() -> None:
    cluster = FakeCluster()
    answers(
        cluster,
        b"SLOWLOG",
        *(array([array([integer(1), integer(time), integer(9)])]) for time in (10, 30, 20)),
    )

    entries = decode(ask(cluster, b"SLOWLOG", b"GET", b"2"))

    assert [entry[1] for entry in entries] == [30, 20]


# A part that fails (law 5)


FAILED = {
    "DBSIZE": [b"DBSIZE"],
    "KEYS": [b"KEYS", b"*"],
    "FLUSHALL": [b"FLUSHALL"],
    "SCRIPT EXISTS": [b"SCRIPT", b"EXISTS", b"a"],
    "INFO": [b"INFO"],
}


@pytest.mark.parametrize("args", FAILED.values(), ids=FAILED.keys())
def test_an_error_of_one_shard_is_an_error_that_names_it(args: list[bytes]) -> None:
    cluster = FakeCluster()
    answers(cluster, args[0], array([]), error(b"NOPERM not you"), array([]))

    reply = ask(cluster, *args)

    assert reply == replies.node_failed(
        spec_of(*args).name,
        node=str(cluster.servers[1].address),
        first_error=b"-NOPERM not you\r\n",
    )


@pytest.mark.parametrize("args", FAILED.values(), ids=FAILED.keys())
def test_an_error_of_every_shard_is_passed_on_as_it_is(args: list[bytes]) -> None:
    cluster = FakeCluster()
    answers(cluster, args[0], error(b"ERR syntax error"))

    assert ask(cluster, *args) == b"-ERR syntax error\r\n"


@pytest.mark.parametrize("args", FAILED.values(), ids=FAILED.keys())
def test_a_shard_that_stays_away_is_an_error_and_not_a_smaller_answer(args: list[bytes]) -> None:
    cluster = FakeCluster()
    answers(cluster, args[0], array([]))
    dead = cluster.servers[1]
    dead.is_up = False

    reply = ask(cluster, *args)

    assert reply == replies.node_failed(
        spec_of(*args).name,
        node=str(dead.address),
        first_error=replies.never_sent(None, TIMEOUT_S),
    )


def test_replies_of_other_types_are_not_merged() -> None:
    cluster = FakeCluster()
    answers(cluster, b"SLOWLOG", integer(1), bulk(b"two"), integer(3))

    assert ask(cluster, b"SLOWLOG", b"LEN") == replies.replies_differ(b"slowlog|len")


# Patience (law 6), and what may be sent again (law 4)


@pytest.mark.parametrize("args", FAILED.values(), ids=FAILED.keys())
def test_a_shard_is_asked_again_under_its_new_primary(args: list[bytes]) -> None:
    cluster = FakeCluster()
    frames = {b"DBSIZE": integer(1), b"KEYS": array([]), b"FLUSHALL": OK, b"INFO": bulk(b"")}
    answers(cluster, args[0], frames.get(args[0], array([integer(1)])))
    dead = cluster.servers[1]
    dead.is_up = False

    def fail_over_soon() -> None:
        if cluster.calls == 8:
            cluster.fail_over(dead)

    cluster.before_each_call = fail_over_soon

    reply = ask(cluster, *args)

    assert not reply.startswith(b"-")
    assert asked(cluster, args[0]) == [1, 0, 1, 1]


@pytest.mark.parametrize("code", [b"LOADING x", b"READONLY x", b"CLUSTERDOWN x", b"MASTERDOWN x"])
def test_what_provably_did_not_run_is_sent_again(code: bytes) -> None:
    cluster = FakeCluster()
    cluster.handlers[b"FLUSHALL"] = lambda server, _command: (
        error(code) if server is cluster.servers[0] and cluster.refreshes < 3 else OK
    )

    reply = ask(cluster, b"FLUSHALL")

    assert reply == OK
    assert asked(cluster, b"FLUSHALL") == [4, 1, 1]


def lose_first_reply(cluster: FakeCluster, name: bytes) -> None:
    """Have the first server run the command and its reply be lost, the first time."""

    def handler(server: FakeServer, _command: Command) -> bytes:
        if server is cluster.servers[0] and asked(cluster, name)[0] == 1:
            raise BackendUnavailable("connection lost", sent=True)
        return array([integer(1)]) if name == b"SCRIPT" else OK

    cluster.handlers[name] = handler


def test_a_write_that_may_have_run_is_not_sent_again() -> None:
    cluster = FakeCluster()
    lose_first_reply(cluster, b"FLUSHALL")

    reply = ask(cluster, b"FLUSHALL")

    node = str(cluster.servers[0].address)
    assert reply == replies.node_failed(
        b"flushall", node=node, first_error=replies.lost_write(node)
    )
    assert asked(cluster, b"FLUSHALL") == [1, 1, 1]


def test_a_read_is_sent_again() -> None:
    cluster = FakeCluster()
    lose_first_reply(cluster, b"SCRIPT")

    reply = ask(cluster, b"SCRIPT", b"EXISTS", b"a")

    assert reply == array([integer(1)])
    assert asked(cluster, b"SCRIPT") == [2, 1, 1]


def test_a_replica_that_is_gone_does_not_hold_up_script_load() -> None:
    cluster = FakeCluster()
    with_replica(cluster).is_up = False
    answers(cluster, b"SCRIPT", bulk(b"sha"))

    assert ask(cluster, b"SCRIPT", b"LOAD", b"return 1") == bulk(b"sha")
    assert cluster.refreshes == 1  # with_replica's own


# SCRIPT KILL and FUNCTION KILL: one is enough

NOT_BUSY = error(b"NOTBUSY No scripts in execution right now.")
UNKILLABLE = error(b"UNKILLABLE Sorry the script already executed write commands")

KILLS = {
    "a script somewhere": ([NOT_BUSY, OK, NOT_BUSY], OK),
    "no script": ([NOT_BUSY, NOT_BUSY, NOT_BUSY], NOT_BUSY),
    "a script that has written": ([NOT_BUSY, UNKILLABLE, NOT_BUSY], UNKILLABLE),
}


@pytest.mark.parametrize("container", [b"SCRIPT", b"FUNCTION"])
@pytest.mark.parametrize(("frames", "expected"), KILLS.values(), ids=KILLS.keys())
def test_a_script_is_killed_wherever_it_runs(
    container: bytes, frames: list[bytes], expected: bytes
) -> None:
    cluster = FakeCluster()
    answers(cluster, container, *frames)

    assert ask(cluster, container, b"KILL") == expected


def test_nobody_knows_that_no_script_runs_while_a_shard_is_away() -> None:
    cluster = FakeCluster()
    answers(cluster, b"SCRIPT", NOT_BUSY)
    cluster.servers[2].is_up = False

    assert ask(cluster, b"SCRIPT", b"KILL").startswith(b"-CLUSTERDOWN 'script|kill'")


# RANDOMKEY


def test_random_keys_are_spread_over_the_shards_that_have_keys() -> None:
    cluster = FakeCluster()
    first, second, _third = cluster.servers
    first.types = {b"first:%d" % n: b"string" for n in range(1000)}
    second.types = {b"second": b"string"}

    seen = Counter(decode(ask(cluster, b"RANDOMKEY"))[:5] for _ in range(400))

    # Binomial with n = 400, p = 0.5: beyond these bounds less than once in 10**15.
    assert 120 < seen[b"first"] < 280
    assert seen.total() == 400


@pytest.mark.parametrize(("resp", "null"), [(2, b"$-1\r\n"), (3, b"_\r\n")])
def test_there_is_no_random_key_in_an_empty_cluster(resp: int, null: bytes) -> None:
    cluster = FakeCluster()
    answers(cluster, b"RANDOMKEY", null)

    assert ask(cluster, b"RANDOMKEY", resp=resp) == null


def test_a_shard_that_is_away_does_not_keep_a_random_key_from_coming() -> None:
    cluster = FakeCluster()
    cluster.servers[0].types = {b"key": b"string"}
    cluster.servers[1].is_up = False

    assert ask(cluster, b"RANDOMKEY") == bulk(b"key")


def test_no_random_key_is_a_guess_while_a_shard_is_away() -> None:
    cluster = FakeCluster()
    cluster.servers[1].is_up = False

    assert ask(cluster, b"RANDOMKEY") == replies.never_sent(None, TIMEOUT_S)


# No map


def test_without_a_map_the_client_is_told_so() -> None:
    class NoMap(FakeCluster):
        @property
        def topology(self):
            raise BackendUnavailable("no map", sent=False)

    assert ask(NoMap(), b"DBSIZE") == replies.unreached_cluster(TIMEOUT_S)
