"""Commands that concern every shard, on real clusters: answers as of one server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import redis

from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer

pytestmark = pytest.mark.live

TIMEOUT_S = 30.0
KEYS = [b"key:%d" % n for n in range(1000)]
SCRIPT = "return 'here'"
LIBRARY = """#!lua name=mylib
redis.register_function('here', function() return 'here' end)
"""


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(
    request: pytest.FixtureRequest, proxy_process: ProxyProcess, cluster: EmbeddedCluster
) -> Iterator[redis.Redis]:
    """A client of the shared proxy, before an empty cluster without scripts and functions."""
    client = redis.Redis(port=proxy_process.port, protocol=request.param, socket_timeout=TIMEOUT_S)
    with client:
        client.script_flush()
        client.function_flush()
        yield client


def fill(client: redis.Redis) -> None:
    client.mset(dict.fromkeys(KEYS, b"value"))


@pytest.mark.parametrize("options", [{}, {"asynchronous": True}])
@pytest.mark.parametrize("command", ["flushall", "flushdb"])
def test_every_shard_is_flushed(
    client: redis.Redis, cluster: EmbeddedCluster, command: str, options: dict[str, bool]
) -> None:
    fill(client)

    assert getattr(client, command)(**options) is True
    assert [node.call("DBSIZE") for node in cluster.primaries()] == [0, 0, 0]


def test_a_wrong_argument_is_the_servers_to_refuse(client: redis.Redis) -> None:
    fill(client)

    with pytest.raises(redis.ResponseError, match=r"^syntax error$"):
        client.execute_command("FLUSHALL", "SOON")

    assert client.dbsize() == len(KEYS)


def test_random_keys_come_from_every_shard(client: redis.Redis, cluster: EmbeddedCluster) -> None:
    assert client.randomkey() is None
    fill(client)

    owners = Counter(cluster.primary_for(client.randomkey()) for _ in range(120))

    # Binomial with n = 120, p = 1/3: fewer than 10 less than once in 10**11.
    assert min(owners[node] for node in cluster.primaries()) > 10


def test_a_script_is_known_to_every_shard(client: redis.Redis, cluster: EmbeddedCluster) -> None:
    sha = client.script_load(SCRIPT)

    assert client.script_exists(sha, "0" * 40) == [True, False]
    for key in KEYS[:20]:
        assert client.evalsha(sha, 1, key) == b"here"

    cluster.primaries()[0].call("SCRIPT", "FLUSH")
    assert client.script_exists(sha) == [True]  # it has been brought back
    assert [node.call("SCRIPT", "EXISTS", sha) for node in cluster.primaries()] == [[1]] * 3
    assert client.script_flush() is True
    assert client.script_exists(sha) == [False]
    assert [node.call("SCRIPT", "EXISTS", sha) for node in cluster.primaries()] == [[0]] * 3


def test_no_script_to_kill_is_said_once(client: redis.Redis, standalone: StandaloneServer) -> None:
    for command in (("SCRIPT", "KILL"), ("FUNCTION", "KILL")):
        alone = redis.Redis(port=standalone.node.port)
        with alone, pytest.raises(redis.RedisError) as expected:
            alone.execute_command(*command)
        with pytest.raises(redis.RedisError) as raised:
            client.execute_command(*command)
        assert str(raised.value) == str(expected.value)


def test_a_function_is_known_to_every_shard(client: redis.Redis) -> None:
    assert client.function_load(LIBRARY) == b"mylib"

    for key in KEYS[:20]:
        assert client.fcall("here", 1, key) == b"here"
    with pytest.raises(redis.ResponseError, match="Library 'mylib' already exists"):
        client.function_load(LIBRARY)
    assert b"mylib" in str(client.function_list()).encode()
    dump = client.function_dump()
    assert client.function_delete("mylib")
    assert client.function_restore(dump)
    assert client.fcall("here", 1, "any") == b"here"
    assert b"running_script" in str(client.function_stats()).encode()


def test_info_is_that_of_one_standalone_server(
    client: redis.Redis,
    cluster: EmbeddedCluster,
    standalone: StandaloneServer,
    proxy_process: ProxyProcess,
) -> None:
    fill(client)
    client.expire(KEYS[0], 1000)
    with redis.Redis(port=standalone.node.port) as alone:
        expected = alone.info("everything")

    info = client.info("everything")

    assert info["tcp_port"] == proxy_process.port
    assert info.get("redis_mode", info.get("server_mode")) == "standalone"
    assert (info["cluster_enabled"], info["role"], info["connected_slaves"]) == (0, "master", 1)
    assert (info["db0"]["keys"], info["db0"]["expires"]) == (len(KEYS), 1)
    assert info["used_memory"] > 2 * expected["used_memory"]
    assert info["used_memory_human"].endswith("M")
    assert info["cmdstat_mset"]["calls"] >= 3
    varying = ("cmdstat_", "errorstat_", "latency_percentiles_usec_", "db0", "listener", "module")
    assert {name for name in expected if not name.startswith(varying)} - set(info) == set()


def test_sections_of_info_are_those_that_were_asked_for(client: redis.Redis) -> None:
    assert set(client.info("keyspace")) == set()
    assert set(client.info("cluster")) == {"cluster_enabled"}
    assert client.execute_command("INFO", "no such section") == {}


def test_what_all_servers_have_alike_is_asked_of_one(client: redis.Redis) -> None:
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_fan_out_waits_for_a_failover(
    private_cluster: EmbeddedCluster, private_proxy: ProxyProcess
) -> None:
    with redis.Redis(port=private_proxy.port, socket_timeout=TIMEOUT_S) as client:
        fill(client)
        sha = client.script_load(SCRIPT)
        private_cluster.wait_until_in_sync()
        private_cluster.primaries()[1].kill()

        assert client.dbsize() == len(KEYS)
        assert len(client.keys("*")) == len(KEYS)
        # The replica that took over was given the script too.
        assert client.script_exists(sha) == [True]
        assert client.flushall() is True
        assert client.dbsize() == 0


def test_a_flush_waits_for_a_failover(
    private_cluster: EmbeddedCluster, private_proxy: ProxyProcess
) -> None:
    with redis.Redis(port=private_proxy.port, socket_timeout=TIMEOUT_S) as client:
        fill(client)
        private_cluster.wait_until_in_sync()
        private_cluster.primaries()[1].kill()

        assert client.flushall() is True
        assert client.dbsize() == 0
