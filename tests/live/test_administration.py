"""What operators and monitoring ask of a server, asked of all nodes at once through the proxy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from differential.wire import RawConnection

from proxy.embedded import EmbeddedCluster, ProxyProcess
from proxy.resp import replies
from proxy.resp.decode import decode
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

MakeCluster = Callable[..., EmbeddedCluster]
MakeProxy = Callable[..., ProxyProcess]


@pytest.fixture
def client(proxy_process: ProxyProcess) -> Iterator[redis.Redis]:
    with connect(proxy_process) as client:
        yield client


@pytest.fixture
def raw(proxy_process: ProxyProcess) -> Iterator[RawConnection]:
    with RawConnection(proxy_process.address) as connection:
        yield connection


def connect(proxy: ProxyProcess) -> redis.Redis:
    return redis.Redis(host=proxy.address.host, port=proxy.address.port)


def say(raw: RawConnection, *words: str) -> bytes:
    return raw.say(encode_command(*words))


def keys_of_all(cluster: EmbeddedCluster) -> list[str]:
    """Return a key of each primary."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < len(cluster.primaries()):
        found.setdefault(cluster.primary_for(b"key:%d" % number).port, f"key:{number}")
        number += 1
    return list(found.values())


# ---- configuration ------------------------------------------------------------------------


@pytest.fixture
def restored(cluster: EmbeddedCluster) -> Iterator[None]:
    """Put back what the tests configure."""
    kept = ("slowlog-log-slower-than", "latency-monitor-threshold", "maxmemory-samples")
    values = {name: cluster.nodes[0].call("CONFIG", "GET", name)[1] for name in kept}
    yield
    for node in cluster.nodes:
        for name, value in values.items():
            node.call("CONFIG", "SET", name, value)
        node.call("SLOWLOG", "RESET")
        node.call("LATENCY", "RESET")


@pytest.mark.usefixtures("restored")
def test_config_set_reaches_every_node(cluster: EmbeddedCluster, client: redis.Redis) -> None:
    assert client.config_set("maxmemory-samples", 7)

    for node in cluster.nodes:
        assert node.call("CONFIG", "GET", "maxmemory-samples")[1] == b"7"
    assert client.config_get("maxmemory-samples") == {"maxmemory-samples": "7"}


def test_a_config_error_is_the_servers_own(cluster: EmbeddedCluster, raw: RawConnection) -> None:
    reply = say(raw, "CONFIG", "SET", "nosuch", "1")

    assert reply.startswith(b"-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'")


def test_config_resetstat_resets_every_node(cluster: EmbeddedCluster, client: redis.Redis) -> None:
    for key in keys_of_all(cluster):
        client.incr(key)

    assert any("cmdstat_incrby" in node.info("commandstats") for node in cluster.nodes)

    assert client.config_resetstat()

    for node in cluster.nodes:
        assert "cmdstat_incrby" not in node.info("commandstats")


def test_config_rewrite_is_done_by_all_or_refused_in_their_words(raw: RawConnection) -> None:
    reply = say(raw, "CONFIG", "REWRITE")

    assert reply == b"+OK\r\n" or b"running without a config file" in reply


# ---- what was slow ------------------------------------------------------------------------


@pytest.mark.usefixtures("restored")
def test_slow_commands_of_all_nodes_are_one_log(
    cluster: EmbeddedCluster, client: redis.Redis
) -> None:
    client.config_set("slowlog-log-slower-than", 0)
    client.slowlog_reset()
    keys = keys_of_all(cluster)
    for key in keys:
        client.set(key, "v")

    entries = client.slowlog_get(1000)

    assert {f"SET {key} v".encode() for key in keys} <= {entry["command"] for entry in entries}
    times = [entry["start_time"] for entry in entries]
    assert times == sorted(times, reverse=True)
    assert len({entry["id"] for entry in entries}) == len(entries)
    assert len(client.slowlog_get(2)) == 2
    assert client.slowlog_len() >= len(keys)
    client.config_set("slowlog-log-slower-than", -1)
    assert client.slowlog_reset()
    assert client.slowlog_len() == 0


@pytest.mark.usefixtures("restored")
def test_valkeys_command_log_is_one_too(
    engine: str, cluster: EmbeddedCluster, raw: RawConnection
) -> None:
    if engine != "valkey":
        pytest.skip("Redis has no COMMANDLOG")
    say(raw, "CONFIG", "SET", "commandlog-execution-slower-than", "0")
    for key in keys_of_all(cluster):
        say(raw, "SET", key, "v")

    assert decode(say(raw, "COMMANDLOG", "LEN", "slow")) >= 3
    assert len(decode(say(raw, "COMMANDLOG", "GET", "2", "slow"))) == 2
    say(raw, "CONFIG", "SET", "commandlog-execution-slower-than", "-1")
    assert say(raw, "COMMANDLOG", "RESET", "slow") == b"+OK\r\n"
    assert say(raw, "COMMANDLOG", "LEN", "slow") == b":0\r\n"


@pytest.fixture
def debuggable(
    make_cluster: MakeCluster, make_proxy: MakeProxy
) -> tuple[EmbeddedCluster, ProxyProcess]:
    """A cluster whose servers allow DEBUG, behind a proxy that allows it too."""
    cluster = make_cluster(replicas=0, settings={"enable-debug-command": "yes"})
    return cluster, make_proxy(cluster.addresses, settings={"commands.deny": "shutdown"})


def test_latency_events_of_all_nodes_are_one_report(
    debuggable: tuple[EmbeddedCluster, ProxyProcess],
) -> None:
    cluster, proxy = debuggable
    with RawConnection(proxy.address) as raw:
        say(raw, "CONFIG", "SET", "latency-monitor-threshold", "5")
        assert say(raw, "LATENCY", "GRAPH", "command").startswith(b"-ERR No samples available")

        assert say(raw, "DEBUG", "SLEEP", "0.02") == b"+OK\r\n"

        (event,) = decode(say(raw, "LATENCY", "LATEST"))
        assert event[0] == b"command"
        assert event[3] >= 20
        assert len(decode(say(raw, "LATENCY", "HISTORY", "command"))) == len(cluster.primaries())
        assert b"command - high" in say(raw, "LATENCY", "GRAPH", "command")
        assert b"command" in say(raw, "LATENCY", "DOCTOR")
        assert say(raw, "LATENCY", "RESET", "command") == b":3\r\n"
        assert say(raw, "LATENCY", "LATEST") == b"*0\r\n"


@pytest.mark.parametrize("resp", [2, 3])
def test_histograms_count_what_all_nodes_ran(
    cluster: EmbeddedCluster, client: redis.Redis, proxy_process: ProxyProcess, resp: int
) -> None:
    client.config_resetstat()
    for key in keys_of_all(cluster):
        client.incr(key)

    with RawConnection(proxy_process.address) as raw:
        say(raw, "HELLO", str(resp))
        value = decode(say(raw, "LATENCY", "HISTOGRAM", "incrby"))

    name, report = next(iter(value.items())) if isinstance(value, dict) else value
    fields = (
        report if isinstance(report, dict) else dict(zip(report[::2], report[1::2], strict=True))
    )
    buckets = fields[b"histogram_usec"]
    counts = list(buckets.values()) if isinstance(buckets, dict) else buckets[1::2]
    assert (name, fields[b"calls"]) == (b"incrby", 3)
    assert counts == sorted(counts)
    assert counts[-1] == 3


# ---- memory and disk ----------------------------------------------------------------------


@pytest.mark.parametrize("resp", [2, 3])
def test_memory_stats_add_up(
    cluster: EmbeddedCluster, client: redis.Redis, proxy_process: ProxyProcess, resp: int
) -> None:
    for number in range(30):
        client.set(f"key:{number}", "v")

    with RawConnection(proxy_process.address) as raw:
        say(raw, "HELLO", str(resp))
        value = decode(say(raw, "MEMORY", "STATS"))

    stats = value if isinstance(value, dict) else dict(_pairs(value))
    own = [dict(_pairs(node.call("MEMORY", "STATS"))) for node in cluster.primaries()]
    assert stats[b"keys.count"] == 30
    assert stats[b"startup.allocated"] == sum(each[b"startup.allocated"] for each in own)
    assert 0 < float(stats[b"peak.percentage"]) <= 100


def _pairs(flat: list[object]) -> list[tuple[object, object]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def test_memory_is_looked_after_on_all_nodes(cluster: EmbeddedCluster, raw: RawConnection) -> None:
    assert say(raw, "MEMORY", "PURGE") == b"+OK\r\n"
    assert say(raw, "MEMORY", "DOCTOR").startswith(b"$")
    stats = say(raw, "MEMORY", "MALLOC-STATS")
    assert stats.startswith(b"$")


def test_saves_are_of_the_whole_data_set(cluster: EmbeddedCluster, raw: RawConnection) -> None:
    before = [node.call("LASTSAVE") for node in cluster.primaries()]
    assert decode(say(raw, "LASTSAVE")) == min(before)

    assert say(raw, "SAVE") == b"+OK\r\n"

    after = [node.call("LASTSAVE") for node in cluster.primaries()]
    assert all(new >= old for new, old in zip(after, before, strict=True))
    assert say(raw, "BGSAVE") == b"+Background saving started\r\n"
    assert say(raw, "BGREWRITEAOF").startswith(b"+Background append only file rewriting ")


# ---- behind the setting ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["DEBUG SLEEP 0", "SHUTDOWN", "REPLICAOF NO ONE", "FAILOVER", "MIGRATE h 1 k 0 1"]
)
def test_what_could_hurt_everybody_is_denied_by_default(raw: RawConnection, line: str) -> None:
    name = line.split()[0].lower().encode()

    assert say(raw, *line.split()) == replies.denied(name)


def test_debug_goes_to_every_shard_or_to_the_one_with_the_key(
    debuggable: tuple[EmbeddedCluster, ProxyProcess],
) -> None:
    cluster, proxy = debuggable
    with RawConnection(proxy.address) as raw:
        for key in keys_of_all(cluster):
            say(raw, "SET", key, "v")
            assert say(raw, "DEBUG", "OBJECT", key).startswith(b"+Value at:")
        assert say(raw, "DEBUG", "JMAP").startswith(b"-ERR ")
        assert say(raw, "DEBUG", "CHANGE-REPL-ID") == b"+OK\r\n"


# ---- CLIENT PAUSE ---------------------------------------------------------------------------


def timed(raw: RawConnection, *words: str) -> tuple[bytes, float]:
    began = time.monotonic()
    return say(raw, *words), time.monotonic() - began


def test_a_pause_holds_back_everybody_for_its_time(
    proxy_process: ProxyProcess, raw: RawConnection
) -> None:
    with RawConnection(proxy_process.address) as other:
        assert say(raw, "CLIENT", "PAUSE", "300") == b"+OK\r\n"

        reply, took_s = timed(other, "PING")
        assert reply == b"+PONG\r\n"
        assert took_s > 0.25
        # As with a server, nobody can end such a pause.
        assert say(raw, "CLIENT", "PAUSE", "200", "ALL") == b"+OK\r\n"
        reply, took_s = timed(other, "CLIENT", "UNPAUSE")
        assert reply == b"+OK\r\n"
        assert took_s > 0.15


def test_a_pause_of_writes_lets_reads_pass_and_can_be_ended(
    proxy_process: ProxyProcess, raw: RawConnection
) -> None:
    with RawConnection(proxy_process.address) as other:
        say(raw, "SET", "k", "v")
        assert say(raw, "CLIENT", "PAUSE", "60000", "WRITE") == b"+OK\r\n"
        assert timed(other, "GET", "k")[1] < 1
        assert timed(other, "NOSUCH")[1] < 1
        assert timed(other, "SET", "k")[1] < 1  # an error at once
        waited: list[bytes] = []
        writer = threading.Thread(target=lambda: waited.append(say(other, "INCR", "n")))
        writer.start()
        assert say(raw, "GET", "n") == b"$-1\r\n"

        assert say(raw, "CLIENT", "UNPAUSE") == b"+OK\r\n"

        writer.join(10)
        assert waited == [b":1\r\n"]


def test_a_second_pause_never_shortens_the_first(proxy_process: ProxyProcess) -> None:
    with RawConnection(proxy_process.address) as raw, RawConnection(proxy_process.address) as other:
        say(raw, "CLIENT", "PAUSE", "400", "WRITE")
        say(raw, "CLIENT", "PAUSE", "50", "WRITE")

        assert timed(other, "SET", "k", "v")[1] > 0.3
        assert timed(other, "SET", "k", "v")[1] < 0.3
