"""Traces of real requests, taken by a real OTLP receiver."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from engine_here import ON_ONE_ENGINE
from otlp_receiver import OtlpReceiver, as_dict

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, ProxyProcess
from proxy.embedded.ports import LOOPBACK, lease_ports
from proxy.embedded.waiting import wait_for

pytestmark = pytest.mark.live

PATIENCE_S = 15.0
STOP_S = 6.0  # 2 s for the collector, and a busy machine
INTERNAL, SERVER, CLIENT = 1, 2, 3  # SpanKind of the wire
ERROR = 2
EVERY_ONE = {"insight.sample_every": "1", "tracing.every": "1", "tracing.service_name": "orders"}


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


@pytest.fixture
def traced(
    cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess], receiver: OtlpReceiver
) -> ProxyProcess:
    """A proxy that sends a trace of each request to ``receiver``."""
    return make_proxy(cluster.addresses, settings=settings(receiver.endpoint))


def settings(endpoint: str) -> dict[str, str]:
    return {"tracing.endpoint": endpoint, **EVERY_ONE}


def connect(proxy: ProxyProcess) -> redis.Redis:
    return redis.Redis(port=proxy.port, decode_responses=True)


def test_a_request_and_its_node(
    cluster: EmbeddedCluster, traced: ProxyProcess, receiver: OtlpReceiver
) -> None:
    before_ns = time.time_ns()
    with connect(traced) as client:
        client.set("user:1", "value-nobody-may-see")
        wait_for(lambda: receiver.named("SET"), PATIENCE_S)
    after_ns = time.time_ns()

    (root,) = receiver.named("SET")
    (node,) = receiver.children_of(root)
    owner = cluster.primary_for(b"user:1")
    assert (root.kind, node.kind) == (SERVER, CLIENT)
    assert before_ns < root.start_time_unix_nano <= node.start_time_unix_nano
    assert node.end_time_unix_nano <= root.end_time_unix_nano < after_ns
    assert node.start_time_unix_nano < node.end_time_unix_nano
    told = as_dict(node.attributes)
    assert told.pop("slotway.shard")
    assert told == {
        "db.system.name": "redis",
        "db.operation.name": "SET",
        "db.namespace": "0",
        "server.address": LOOPBACK,
        "server.port": owner.port,
        "network.peer.address": LOOPBACK,
        "network.peer.port": owner.port,
        "slotway.slot": key_slot(b"user:1"),
    }
    assert receiver.resource["service.name"] == "orders"
    sent = b"".join(request.SerializeToString() for request in receiver.requests)
    assert b"user:1" not in sent
    assert b"nobody-may-see" not in sent


def test_an_error_is_the_status_of_the_request(
    traced: ProxyProcess, receiver: OtlpReceiver
) -> None:
    with connect(traced) as client:
        client.rpush("list", "x")
        with pytest.raises(redis.ResponseError):
            client.incr("list")
        wait_for(lambda: receiver.named("INCRBY"), PATIENCE_S)

    (root,) = receiver.named("INCRBY")
    assert root.status.code == ERROR
    assert as_dict(root.attributes)["db.response.status_code"] == "WRONGTYPE"
    assert as_dict(root.attributes)["error.type"] == "WRONGTYPE"


def test_each_part_of_a_split_request_and_its_node(
    cluster: EmbeddedCluster, traced: ProxyProcess, receiver: OtlpReceiver
) -> None:
    keys = ["user:1", "user:2", "user:3", "user:4"]
    with connect(traced) as client:
        client.mget(keys)
        wait_for(lambda: receiver.named("MGET"), PATIENCE_S)

    (root,) = receiver.named("MGET")
    parts = receiver.children_of(root)
    assert as_dict(root.attributes)["slotway.parts"] == len(parts) == 4
    asked = {}
    for part in parts:
        (node,) = receiver.children_of(part)
        assert (part.kind, node.kind) == (INTERNAL, CLIENT)
        asked[as_dict(part.attributes)["slotway.slot"]] = as_dict(node.attributes)["server.port"]
    assert asked == {key_slot(k): cluster.primary_for(k).port for k in map(str.encode, keys)}


def test_a_slot_that_moved_under_traffic_is_an_event_between_two_nodes(
    private_cluster: EmbeddedCluster,
    make_proxy: Callable[..., ProxyProcess],
    receiver: OtlpReceiver,
) -> None:
    traced = make_proxy(
        private_cluster.addresses,
        # No refresh but the one that a redirect asks for.
        settings={**settings(receiver.endpoint), "cluster.refresh_interval_s": "3600"},
    )
    slot = key_slot(b"user:1")
    source = private_cluster.primary_for(slot)
    target = next(node for node in private_cluster.primaries() if node != source)
    with connect(traced) as client:
        client.set("user:1", "x")
        # What waits for a first connection is routed anew, and sent anew, by each new map.
        for number in range(100):
            client.set(f"of every node:{number}", "x")

        private_cluster.move_slots([slot], source, target)
        assert client.get("user:1") == "x"
        wait_for(lambda: receiver.named("GET"), PATIENCE_S)

    (root,) = receiver.named("GET")
    first, second = receiver.children_of(root)
    assert (first.status.code, as_dict(first.attributes)["error.type"]) == (ERROR, "MOVED")
    ports = [as_dict(span.attributes)["server.port"] for span in (first, second)]
    assert ports == [source.port, target.port]
    moved, resent = root.events
    assert (moved.name, resent.name) == ("slotway.moved", "slotway.resent")
    assert as_dict(moved.attributes)["slotway.node"] == str(source.address)
    assert as_dict(resent.attributes)["slotway.held_ms"] >= 0
    assert root.status.code != ERROR


@ON_ONE_ENGINE
def test_what_waits_when_the_proxy_stops_is_still_sent(
    cluster: EmbeddedCluster, receiver: OtlpReceiver
) -> None:
    with ProxyProcess(cluster.addresses, settings=settings(receiver.endpoint)) as traced:
        with connect(traced) as client:
            for number in range(300):
                client.set(f"user:{number}", "x")

        assert traced.stop() == 0

    assert len(receiver.named("SET")) == 300


@ON_ONE_ENGINE
def test_a_collector_that_is_away_is_one_line_and_nothing_else(cluster: EmbeddedCluster) -> None:
    with (
        lease_ports(1) as leased,
        ProxyProcess(
            cluster.addresses, settings=settings(f"http://{LOOPBACK}:{leased.ports[0]}")
        ) as traced,
    ):
        with connect(traced) as client:

            def lines() -> int:
                client.set("user:1", "x")
                return traced.log.read_bytes().count(b"traces not taken")

            wait_for(lines, PATIENCE_S)
            deadline = time.monotonic() + 4  # an attempt takes 3 s
            while time.monotonic() < deadline:
                assert lines() == 1
        assert not traced.tracebacks()

        began = time.monotonic()
        assert traced.stop() == 0
        assert time.monotonic() - began < STOP_S


@ON_ONE_ENGINE
def test_a_collector_that_hangs_delays_neither_clients_nor_the_end(
    cluster: EmbeddedCluster,
) -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as hung,
        ProxyProcess(
            cluster.addresses, settings=settings(f"http://{LOOPBACK}:{hung.getsockname()[1]}")
        ) as traced,
    ):
        with connect(traced) as client:
            client.set("user:1", "x")
            connection, _ = hung.accept()  # the proxy waits for an answer from now on
            began = time.monotonic()
            for _ in range(3000):  # more than the queue holds
                client.set("user:1", "x")
            assert time.monotonic() - began < PATIENCE_S

        began = time.monotonic()
        assert traced.stop() == 0
        assert time.monotonic() - began < STOP_S
        connection.close()
