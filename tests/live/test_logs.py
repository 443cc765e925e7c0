"""What the log says of real events: exactly these lines, and few of them in a storm."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest
import redis
from engine_here import ON_ONE_ENGINE

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, ProxyProcess
from proxy.embedded.ports import lease_ports
from proxy.embedded.waiting import wait_for

pytestmark = pytest.mark.live

PATIENCE_S = 20.0
LEFT_OUT_S = 10.0  # the log counts what it left out every 5 s
BURST = 20

Line = dict[str, object]


class Reader:
    """What a proxy has logged since this was made, or since its start."""

    def __init__(self, proxy: ProxyProcess, *, from_start: bool = False) -> None:
        self._log = proxy.log
        if not from_start:
            Reader(proxy, from_start=True).wait_for("listening")
        self._mark = 0 if from_start else proxy.log_size()

    def lines(self, event: str = "") -> list[Line]:
        """Return the lines, or those of one event."""
        text = self._log.read_bytes()[self._mark :]
        found = [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
        return [line for line in found if not event or line["event"] == event]

    def wait_for(self, event: str, within_s: float = PATIENCE_S) -> Line:
        """Return the first line of an event, once it is there."""
        return wait_for(
            lambda: next(iter(self.lines(event)), None),
            within_s,
            lambda: f"{event}: {self.lines()}",
        )


def counted(lines: list[Line]) -> int:
    """Return how many lines were left out, by what these say."""
    return sum(int(str(line["lines"])) for line in lines if line["event"] == "lines left out")


def answers(client: redis.Redis) -> bool:
    try:
        return client.ping()
    except redis.ConnectionError:
        return False


@contextmanager
def unread_proxy(
    cluster: EmbeddedCluster, settings: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a proxy whose standard error is a pipe that nobody reads yet; and its port."""
    variables = {f"SLOTWAY_{key.upper().replace('.', '__')}": v for key, v in settings.items()}
    with (
        lease_ports(1) as leased,
        subprocess.Popen(
            ProxyProcess(cluster.addresses, port=leased.ports[0]).command,
            stderr=subprocess.PIPE,
            env={**os.environ, "SLOTWAY_ADMIN__ENABLED": "false", **variables},
        ) as process,
    ):
        try:
            yield process, leased.ports[0]
        finally:
            process.kill()


@pytest.fixture
def json_proxy(
    private_cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> ProxyProcess:
    """A proxy in front of ``private_cluster`` that logs JSON."""
    return make_proxy(private_cluster.addresses, settings={"log.format": "json"})


@pytest.fixture
def client(json_proxy: ProxyProcess) -> Iterator[redis.Redis]:
    with redis.Redis(port=json_proxy.port, decode_responses=True) as connected:
        yield connected


def test_the_first_lines_say_what_the_proxy_fronts(
    cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess], engine: str
) -> None:
    proxy = make_proxy(cluster.addresses, settings={"log.format": "json", "cluster.username": ""})
    reader = Reader(proxy, from_start=True)

    listening = reader.wait_for("listening")

    read = reader.lines()[0]
    assert (read["event"], listening["event"]) == ("map read", "listening")
    assert (read["primaries"], read["nodes"], read["covered_slots"]) == (3, 6, 16384)
    assert listening["address"] == str(proxy.address)
    assert str(listening["server"]).startswith(f"{engine} ")
    assert (listening["primaries"], listening["nodes"]) == (3, 6)
    assert listening["set"] == "admin.enabled, log.format"


def test_a_failover_is_these_lines(
    private_cluster: EmbeddedCluster, json_proxy: ProxyProcess, client: redis.Redis
) -> None:
    client.set("user:1", "x")
    dead = private_cluster.primary_for(b"user:1")
    (successor,) = private_cluster.replicas_of(dead)
    reader = Reader(json_proxy)

    dead.kill()
    client.set("user:1", "y")
    dead.start()
    reader.wait_for("node reachable again")

    about = str(dead.address)
    lines = [line for line in reader.lines() if line.get("node", about) == about]
    # How many health checks it misses is a matter of how long the vote takes; and on a busy
    # machine it may be met in more ways than one, each of which is told once.
    ways = [line["problem"] for line in lines if line["event"] == "node unreachable"]
    assert len(set(ways)) == len(ways)
    assert any("refused" in str(way) for way in ways)
    told = [
        line
        for line in lines
        if line["event"] not in ("node down", "node up again")
        and line.get("problem", ways[0]) == ways[0]
    ]
    assert [(line["level"], line["event"]) for line in told] == [
        ("info", "connection lost"),
        ("warning", "node unreachable"),
        ("info", "map changed"),
        ("info", "node reachable again"),
    ]
    changed = told[2]
    changes = f"failover from {dead.address} to {successor.address}, 5461 slots"
    assert changed["changes"] in (changes, changes.replace("5461", "5462"))
    assert changed["generation"] == 2


def test_a_slot_that_moves_under_traffic_is_one_line(
    private_cluster: EmbeddedCluster, json_proxy: ProxyProcess, client: redis.Redis
) -> None:
    keys = [f"{{user}}:{number}" for number in range(50)]
    for key in keys:
        client.set(key, "x")
    slot = key_slot(b"user")
    source = private_cluster.primary_for(slot)
    target = next(node for node in private_cluster.primaries() if node != source)
    reader = Reader(json_proxy)

    private_cluster.move_slots([slot], source, target)
    for key in keys:
        assert client.get(key) == "x"
    reader.wait_for("map changed")

    (changed,) = reader.lines()
    assert changed["changes"] == f"slot {slot} from {source.address} to {target.address}"
    assert changed["covered_slots"] == 16384


@ON_ONE_ENGINE
def test_a_storm_of_reconnects_is_a_few_lines_and_a_count(
    private_cluster: EmbeddedCluster, json_proxy: ProxyProcess, client: redis.Redis
) -> None:
    node = private_cluster.primary_for(b"user:1")
    reader = Reader(json_proxy)
    storms = 150
    began_s = time.monotonic()

    with node.connect() as control:
        for _ in range(storms):
            client.get("user:1")
            control.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    left_out = reader.wait_for("lines left out", LEFT_OUT_S)
    lines = reader.lines()
    lasted_s = time.monotonic() - began_s
    told = sum(line["event"] == "connection lost" for line in lines)
    assert left_out["of"] == "connection lost"
    assert BURST <= told <= BURST + lasted_s
    assert told + counted(lines) <= storms
    assert len(lines) < 2 * (BURST + lasted_s)


@ON_ONE_ENGINE
def test_a_storm_of_clients_that_are_cut_is_a_few_lines_and_a_count(
    cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> None:
    proxy = make_proxy(
        cluster.addresses, settings={"log.format": "json", "clients.idle_timeout_s": "0.3"}
    )
    reader = Reader(proxy)
    clients = 200
    began_s = time.monotonic()

    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection((proxy.address.host, proxy.port)))
            for _ in range(clients)
        ]
        for connected in sockets:
            connected.settimeout(PATIENCE_S)
            assert connected.recv(1) == b""

    wait_for(
        lambda: len(reader.lines("client closed")) + counted(reader.lines()) == clients,
        LEFT_OUT_S,
        lambda: f"{clients} clients: {reader.lines()}",
    )
    told = reader.lines("client closed")
    assert BURST <= len(told) <= BURST + time.monotonic() - began_s
    assert "idle_timeout_s" in str(told[0]["reason"])


@ON_ONE_ENGINE
def test_a_log_that_nobody_reads_delays_nobody_and_what_is_lost_is_told(
    cluster: EmbeddedCluster,
) -> None:
    requests = 30_000  # a line each; the pipe takes some 200 lines, the queue 4096
    settings = {"insight.sample_every": "1", "log.access_every": "1", "log.format": "json"}
    with (
        unread_proxy(cluster, settings) as (process, port),
        redis.Redis(port=port, socket_timeout=PATIENCE_S) as client,
    ):
        wait_for(lambda: answers(client), PATIENCE_S)
        for _ in range(requests // 1000):
            pipeline = client.pipeline(transaction=False)
            for number in range(1000):
                pipeline.get(f"user:{number}")
            assert pipeline.execute() == [None] * 1000

        process.terminate()
        _, text = process.communicate(timeout=PATIENCE_S)

    lines = [json.loads(line) for line in text.splitlines()]
    told = [line for line in lines if line.get("command") == "get"]
    (lost,) = [line for line in lines if line["event"] == "lines dropped, nobody read them"]
    assert 1000 < len(told) < requests
    assert len(told) + lost["lines"] >= requests


@ON_ONE_ENGINE
def test_a_cluster_that_goes_away_and_comes_back_is_told_once_each(
    private_cluster: EmbeddedCluster, json_proxy: ProxyProcess
) -> None:
    reader = Reader(json_proxy)

    for node in private_cluster.nodes:
        node.freeze()
    with (
        pytest.raises(redis.RedisError),
        redis.Redis(port=json_proxy.port, socket_timeout=0.2, retry=None) as impatient,
    ):
        impatient.get("user:1")
    away = reader.wait_for("no node has a map to go by")
    for node in private_cluster.nodes:
        node.thaw()
    again = reader.wait_for("there is a map to go by again")

    assert (away["level"], again["level"]) == ("error", "info")
    assert len(reader.lines("no node has a map to go by")) == 1
    wait_for(lambda: len(reader.lines("node reachable again")) >= 6, PATIENCE_S)
    told = {line["node"] for line in reader.lines("node unreachable")}
    assert told == {str(node.address) for node in private_cluster.nodes}
