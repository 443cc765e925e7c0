"""What PROXY tells, against real servers: hot keys, slow requests, faults, and EXPLAIN."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
import redis

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, ProxyProcess, wait_for
from proxy.embedded.migration import close_slots, move_keys, open_slots

pytestmark = pytest.mark.live

DEADLINE_S = 20.0
# A hundred milliseconds or so; the clock stands still in a script of Valkey.
SLOW_SCRIPT = "local n = 0; for i = 1, 10000000 do n = n + i end; return redis.call('GET', KEYS[1])"


@pytest.fixture(scope="module")
def watched(cluster: EmbeddedCluster) -> Iterator[ProxyProcess]:
    """A proxy that looks at every fourth request, and keeps what is slower than 5 ms."""
    settings = {"insight.sample_every": "4", "insight.slow_log_ms": "5"}
    with ProxyProcess(cluster.addresses, settings=settings) as proxy:
        yield proxy


@pytest.fixture
def client(watched: ProxyProcess) -> Iterator[redis.Redis]:
    """A client of that proxy."""
    with redis.Redis(port=watched.port, protocol=3) as client:
        yield client


def tell(client: redis.Redis, *args: str | bytes | int) -> dict[bytes, object]:
    """Return what PROXY answers."""
    found = client.execute_command("PROXY", *args)
    assert isinstance(found, dict), found
    return found


# ---- the traffic -----------------------------------------------------------------------


def test_the_keys_that_are_used_most_are_told(
    cluster: EmbeddedCluster, client: redis.Redis
) -> None:
    chance = random.Random(1)
    names = [f"key:{number}" for number in range(2000)]
    weights = [1 / (rank + 1) for rank in range(len(names))]
    for _ in range(40):
        with client.pipeline(transaction=False) as pipeline:
            for name in chance.choices(names, weights, k=100):
                pipeline.get(name)
            pipeline.execute()

    told = tell(client, "HOTKEYS", 10)

    assert [entry[b"key"] for entry in told[b"keys"]][:2] == [b"key:0", b"key:1"]
    first = told[b"keys"][0]
    assert first[b"slot"] == key_slot(b"key:0")
    assert first[b"node"].decode() == str(cluster.primary_for(b"key:0").address)
    assert first[b"per_s"] > 4 * first[b"error_per_s"]


def test_a_slow_request_is_told_with_its_node_and_client(
    cluster: EmbeddedCluster, client: redis.Redis
) -> None:
    client.client_setname("reporter")
    client.execute_command("PROXY", "SLOWLOG", "RESET")

    client.eval(SLOW_SCRIPT, 1, "report")

    entry, *_ = (
        found
        for found in tell(client, "SLOWLOG", "GET", 128)[b"entries"]
        if found[b"command"] == b"eval"
    )
    assert entry[b"took_ms"] >= entry[b"backend_ms"] >= 5
    assert entry[b"nodes"] == [str(cluster.primary_for(b"report").address).encode()]
    assert entry[b"client_name"] == b"reporter"
    assert entry[b"args"][2:] == [b"1", b"report"]
    assert entry[b"args"][1] == SLOW_SCRIPT.encode()


def test_stats_and_info_count_what_was_asked(client: redis.Redis) -> None:
    before = tell(client, "STATS")[b"totals"]
    client.mset({f"k{number}": "v" for number in range(50)})
    with pytest.raises(redis.ResponseError):
        client.lpush("k1", "x")

    after = tell(client, "STATS")[b"totals"]
    info = client.execute_command("PROXY", "INFO", "errors")

    grown = {name: after[name] - before[name] for name in (b"requests", b"errors", b"splits")}
    assert grown == {b"requests": 3, b"errors": 1, b"splits": 1}
    assert after[b"parts"] - before[b"parts"] > 1
    assert b"error_WRONGTYPE:total=" in (info if isinstance(info, bytes) else info.encode())


# ---- explain -----------------------------------------------------------------------------

SERVED = {
    "a write": ("SET", "key:{0}", "v"),
    "a read": ("GET", "key:{0}"),
    "a list": ("RPUSH", "list:{0}", "a", "b"),
    "a hash": ("HSET", "hash:{0}", "f", "v"),
    "a tag": ("SET", "{{user{0}}}:cart", "v"),
    "two keys of one slot": ("COPY", "{{user{0}}}:cart", "{{user{0}}}:old"),
    "a script": ("EVAL", "return redis.call('INCR', KEYS[1])", "1", "script:{0}"),
    "streams": ("XADD", "stream:{0}", "*", "f", "v"),
    "a command that only the server understands": ("SORT", "list:{0}", "ALPHA"),
    "split": ("MSET", "a{0}", "1", "b{0}", "2", "c{0}", "3", "d{0}", "4"),
    "split with numkeys apart": ("DEL", "a{0}", "b{0}", "c{0}", "d{0}"),
}


WRITES = {"set", "rpush", "hset", "eval", "xadd", "mset"}
"""Commands after which all their keys exist."""


@pytest.mark.parametrize("command", SERVED.values(), ids=SERVED.keys())
def test_explain_names_the_slots_and_the_nodes_that_then_serve(
    cluster: EmbeddedCluster, client: redis.Redis, command: tuple[str, ...]
) -> None:
    name = command[0].lower()
    for number in range(3):
        args = [word.format(number) for word in command]
        told = tell(client, "EXPLAIN", *args)
        before = calls_of(cluster, name)

        client.execute_command(*args)

        served = {node for node, calls in calls_of(cluster, name).items() if calls > before[node]}
        assert told[b"refusal"] is None
        assert {part[b"node"].decode() for part in told[b"parts"]} == served
        for key in told[b"keys"]:
            assert key[b"slot"] == cluster.nodes[0].call("CLUSTER", "KEYSLOT", key[b"key"])
            owner = cluster.primary_for(key[b"slot"])
            assert key[b"node"].decode() == str(owner.address)
            if name in WRITES:
                assert owner.call("CLUSTER", "COUNTKEYSINSLOT", key[b"slot"]) > 0


REFUSED = {
    "keys apart": ("SMOVE", "a", "b", "m"),
    "a script": ("EVAL", "return 1", "2", "a", "b"),
    "all or none": ("MSETNX", "a", "1", "b", "2"),
    "denied": ("DEBUG", "JMAP"),
    "databases": ("SWAPDB", "0", "1"),
    "too few": ("SET", "a"),
    "cut short": ("MSET", "a", "1", "b"),
    "watched apart": ("WATCH", "a", "b"),
    "a move that waits": ("BLMOVE", "a", "b", "LEFT", "RIGHT", "0.01"),
}


@pytest.mark.parametrize("command", REFUSED.values(), ids=REFUSED.keys())
def test_explain_has_the_very_error_that_then_comes(
    client: redis.Redis, command: tuple[str, ...]
) -> None:
    told = tell(client, "EXPLAIN", *command)

    with pytest.raises(redis.ResponseError) as caught:
        client.execute_command(*command)

    assert told[b"fate"] == b"refused"
    # redis-py leaves out the codes that it knows.
    assert told[b"refusal"].decode().removeprefix("ERR ").endswith(str(caught.value))


STEPS = {
    "across": (("SUNION", "a", "b"), b"across"),
    "everywhere": (("DBSIZE",), b"fanned_out"),
    "here": (("ECHO", "x"), b"answered"),
    "waits": (("BLPOP", "a", "b", "0.01"), b"in_session"),
    "unknown": (("NOSUCHCOMMAND", "x"), b"asked"),
}


@pytest.mark.parametrize(("command", "fate"), STEPS.values(), ids=STEPS.keys())
def test_explain_tells_what_goes_other_ways(
    client: redis.Redis, command: tuple[str, ...], fate: bytes
) -> None:
    told = tell(client, "EXPLAIN", *command)

    assert (told[b"fate"], told[b"refusal"]) == (fate, None)


def calls_of(cluster: EmbeddedCluster, name: str) -> dict[str, int]:
    """Return how often each primary has run a command."""
    found = {}
    for node in cluster.primaries():
        text = node.info("commandstats").get(f"cmdstat_{name}", "calls=0")
        found[str(node.address)] = int(text.split(",")[0].removeprefix("calls="))
    return found


# ---- the cluster changes -------------------------------------------------------------------


def kinds_since(client: redis.Redis, number: int) -> dict[bytes, list[dict[bytes, object]]]:
    """Return the events after this one, by kind."""
    found: dict[bytes, list[dict[bytes, object]]] = {}
    for event in tell(client, "EVENTS", number)[b"events"]:
        found.setdefault(event[b"kind"], []).append(event)
    return found


@pytest.fixture
def changing(
    private_cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> Iterator[tuple[EmbeddedCluster, redis.Redis]]:
    """A cluster of the test's own, and a client of a proxy in front of it."""
    proxy = make_proxy(private_cluster.addresses)
    with redis.Redis(port=proxy.port, protocol=3) as client:
        yield private_cluster, client


def test_a_slot_that_moves_and_a_primary_that_dies_are_told(
    changing: tuple[EmbeddedCluster, redis.Redis],
) -> None:
    cluster, client = changing
    source, target, third = cluster.primaries()
    slot = min(cluster.slots_of(source))
    key = next(name for name in map(str, range(10**6)) if key_slot(name.encode()) == slot)
    client.set(key, "v")
    last = tell(client, "EVENTS")[b"last"]

    open_slots([slot], source, target)
    wait_for(lambda: tell(client, "TOPOLOGY")[b"moving"], DEADLINE_S, "an open slot in the view")
    (moving,) = tell(client, "TOPOLOGY")[b"moving"]
    move_keys([slot], source, target)
    assert client.get(key) == b"v"
    close_slots([slot], source, target, cluster.primaries())
    assert client.get(key) == b"v"
    wait_for(lambda: not tell(client, "TOPOLOGY")[b"moving"], DEADLINE_S, "no open slot")
    seen = kinds_since(client, last)
    assert moving == {
        b"slot": slot,
        b"source": str(source.address).encode(),
        b"target": str(target.address).encode(),
    }
    assert seen[b"migration_begun"][0][b"slot"] == slot
    assert seen[b"migration_ended"][0][b"slot"] == slot
    assert seen[b"slot_moved"][0][b"node"] == str(target.address).encode()

    last = tell(client, "EVENTS")[b"last"]
    (heir,) = cluster.replicas_of(third)
    third.kill()
    wait_for(
        lambda: tell(client, "TOPOLOGY") and b"failover" in kinds_since(client, last),
        DEADLINE_S,
        "the failover among the events",
    )
    seen = kinds_since(client, last)

    assert seen[b"failover"][0][b"node"] == str(heir.address).encode()
    assert seen[b"node_failed"][0][b"node"] == str(third.address).encode()
    assert {b"connection_lost", b"map_changed"} <= set(seen)
    primaries = {shard[b"primary"][b"address"] for shard in tell(client, "TOPOLOGY")[b"shards"]}
    assert str(heir.address).encode() in primaries


def test_replicas_are_told_with_how_far_behind_they_are(
    cluster: EmbeddedCluster, client: redis.Redis
) -> None:
    def replicas() -> list[dict[bytes, object]]:
        shards = tell(client, "TOPOLOGY")[b"shards"]
        return [replica for shard in shards for replica in shard[b"replicas"]]

    wait_for(
        lambda: all(replica[b"lag_bytes"] is not None for replica in replicas()),
        DEADLINE_S,
        "the replicas' lag",
    )

    assert len(replicas()) == 3
    for replica in replicas():
        assert replica[b"role"] == b"replica"
        assert replica[b"offset"] > 0
        assert 0 <= replica[b"lag_bytes"] < 1_000_000
