"""Scripts and functions through changes of the cluster: no client hears of a node without them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import redis
from differential.wire import RawConnection

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, ProxyProcess, RedisNode, wait_for
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

BODY = "return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}"
LIBRARY = """#!lua name=counters
redis.register_function('bump', function(keys) return redis.call('INCR', keys[1]) end)
"""
DEADLINE_S = 20.0

MakeProxy = Callable[..., ProxyProcess]


@pytest.fixture
def client(proxy_process: ProxyProcess) -> Iterator[redis.Redis]:
    with connect(proxy_process) as client:
        client.script_flush()
        client.function_flush()
        yield client


def connect(proxy: ProxyProcess) -> redis.Redis:
    return redis.Redis(host=proxy.address.host, port=proxy.address.port)


def keys_of_all(cluster: EmbeddedCluster) -> list[str]:
    """Return a key of each primary."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < len(cluster.primaries()):
        key = f"key:{number}"
        found.setdefault(cluster.primary_for(key.encode()).port, key)
        number += 1
    return list(found.values())


def test_a_registered_script_runs_on_every_shard(
    cluster: EmbeddedCluster, client: redis.Redis
) -> None:
    script = client.register_script(BODY)

    for key in keys_of_all(cluster):
        assert script(keys=[key], args=["x"]) == [key.encode(), b"x", 1]

    (there,) = client.script_exists(script.sha)
    assert there


def test_a_script_that_came_with_eval_is_known_on_every_shard(
    cluster: EmbeddedCluster, client: redis.Redis
) -> None:
    first, *others = keys_of_all(cluster)
    client.eval(BODY, 1, first, "x")
    sha = client.register_script(BODY).sha
    assert client.script_exists(sha, "0" * 40) == [True, False]

    for key in others:
        assert client.evalsha(sha, 1, key, "x") == [key.encode(), b"x", 1]


def test_a_pipeline_may_name_what_eval_has_just_brought(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess, client: redis.Redis
) -> None:
    first, second, third = keys_of_all(cluster)
    sha = client.register_script(BODY).sha

    with RawConnection(proxy_process.address) as raw:
        requests = [("EVAL", BODY, "1", first, "x")]
        for key in (second, third, first):
            requests += [("EVALSHA", sha, "1", key, "x"), ("GET", key)]
        raw.send(b"".join(encode_command(*words) for words in requests))
        replies = [raw.receive() for _ in requests]

    assert not any(reply.startswith(b"-") for reply in replies), replies
    assert replies[2::2] == [b"$1\r\n1\r\n", b"$1\r\n1\r\n", b"$1\r\n2\r\n"]


def test_a_script_that_one_node_was_made_to_forget_is_brought_back(
    cluster: EmbeddedCluster, client: redis.Redis
) -> None:
    sha = client.script_load(BODY)
    for node in cluster.primaries():
        node.call("SCRIPT", "FLUSH")

    for key in keys_of_all(cluster):
        assert client.evalsha(sha, 1, key, "x") == [key.encode(), b"x", 1]


def test_after_script_flush_a_script_is_unknown(
    cluster: EmbeddedCluster, client: redis.Redis
) -> None:
    sha = client.script_load(BODY)
    client.eval(BODY, 1, "k", "x")

    client.script_flush()

    assert client.script_exists(sha) == [False]
    for key in keys_of_all(cluster):
        with pytest.raises(redis.exceptions.NoScriptError):
            client.evalsha(sha, 1, key, "x")


def test_what_is_remembered_has_a_bound(cluster: EmbeddedCluster, make_proxy: MakeProxy) -> None:
    proxy = make_proxy(cluster.addresses, settings={"limits.script_memory_bytes": "2000"})
    with connect(proxy) as client:
        shas = [client.script_load(f"return {number}") for number in range(20)]
        for node in cluster.primaries():
            node.call("SCRIPT", "FLUSH")

        assert client.evalsha(shas[-1], 0) == 19
        with pytest.raises(redis.exceptions.NoScriptError):
            client.evalsha(shas[0], 0)


def promote(cluster: EmbeddedCluster, victim: RedisNode) -> None:
    (replica,) = cluster.replicas_of(victim)
    victim.kill()
    wait_for(lambda: replica in cluster.primaries(), DEADLINE_S, "the replica is promoted")


def test_scripts_and_functions_survive_a_failover(
    private_cluster: EmbeddedCluster, private_proxy: ProxyProcess
) -> None:
    with connect(private_proxy) as client:
        client.function_load(LIBRARY)
        key = keys_of_all(private_cluster)[0]
        victim = private_cluster.primary_for(key.encode())
        # By EVAL only: the replica has never seen it.
        client.eval(BODY, 1, key, "x")
        sha = client.register_script(BODY).sha
        client.evalsha(sha, 1, key, "x")
        private_cluster.wait_until_in_sync()
        promote(private_cluster, victim)

        pipe = client.pipeline(transaction=False)
        pipe.execute_command("EVALSHA", sha, 1, key, "x").get(key)
        reply, value = pipe.execute()

        assert reply == [key.encode(), b"x", int(value)]
        assert client.fcall("bump", 1, key) == int(value) + 1


def test_scripts_and_functions_are_on_a_shard_that_joins(
    private_cluster: EmbeddedCluster, private_proxy: ProxyProcess
) -> None:
    with connect(private_proxy) as client:
        client.function_load(LIBRARY)
        sha = client.script_load(BODY)
        key = keys_of_all(private_cluster)[0]
        slot = key_slot(key.encode())
        source = private_cluster.primary_for(slot)

        newcomer = private_cluster.add_node()
        private_cluster.move_slots([slot], source, newcomer)

        assert client.evalsha(sha, 1, key, "x") == [key.encode(), b"x", 1]
        assert client.fcall("bump", 1, key) == 2
        assert newcomer.call("SCRIPT", "EXISTS", sha) == [1]


def test_a_script_that_runs_too_long_can_be_killed(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess, client: redis.Redis
) -> None:
    for node in cluster.primaries():
        node.call("CONFIG", "SET", "busy-reply-threshold", "50")
    key = keys_of_all(cluster)[0]
    outcome: list[bytes] = []

    def run() -> None:
        with RawConnection(proxy_process.address) as raw:
            outcome.append(raw.say(encode_command("EVAL", "while true do end", "1", key)))

    runner = threading.Thread(target=run)
    runner.start()
    try:
        wait_for(
            lambda: says(client, "SCRIPT", "KILL") == b"OK", DEADLINE_S, "the script is killed"
        )
    finally:
        runner.join()
        for node in cluster.primaries():
            node.call("CONFIG", "SET", "busy-reply-threshold", "5000")

    assert b"killed by user" in outcome[0]
    assert says(client, "SCRIPT", "KILL").startswith(b"NOTBUSY")
    assert says(client, "FUNCTION", "KILL").startswith(b"NOTBUSY")


def says(client: redis.Redis, *words: str) -> bytes:
    try:
        reply = client.execute_command(*words)
    except redis.exceptions.ResponseError as error:
        return str(error).encode() if "NOTBUSY" in str(error) else b"NOTBUSY" + str(error).encode()
    return b"OK" if reply is True else bytes(reply)


def test_functions_go_to_all_and_come_from_one(
    cluster: EmbeddedCluster, client: redis.Redis
) -> None:
    client.function_load(LIBRARY)
    dump = client.function_dump()
    assert all(node.call("FUNCTION", "LIST") for node in cluster.primaries())

    client.function_delete("counters")
    assert not any(node.call("FUNCTION", "LIST") for node in cluster.primaries())
    client.function_restore(dump)

    for key in keys_of_all(cluster):
        assert client.fcall("bump", 1, key) == 1
    assert client.function_flush()
    with pytest.raises(redis.exceptions.ResponseError, match="Function not found"):
        client.fcall("bump", 1, "k")
