"""A cluster that speaks nothing but TLS, and wants certificates of everybody."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import trio
from admin_client import DEADLINE_S, Admin, administered
from papers import Papers, for_redis_py, to_clients, to_nodes
from slotway_command import slotway

from proxy.check import check_cluster
from proxy.config import Settings
from proxy.embedded import EmbeddedCluster, ProxyProcess, TlsFiles, speaks_tls, wait_for
from proxy.errors import ConfigError
from proxy.sources import with_text

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def files(papers: Papers) -> TlsFiles:
    """What the nodes and the proxy show."""
    found = papers.issue("node")
    return TlsFiles(found.cert, found.key, found.ca, wants_certificates=True)


@pytest.fixture(scope="module")
def secured(engine: str, files: TlsFiles) -> Iterator[EmbeddedCluster]:
    """Three primaries and three replicas, shared: leave every node alive."""
    if not speaks_tls(engine):
        pytest.skip(f"this {engine}-server was built without TLS")
    with EmbeddedCluster(engine, tls=files) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def proxy(secured: EmbeddedCluster, papers: Papers, files: TlsFiles) -> Iterator[ProxyProcess]:
    """A proxy with TLS on both sides."""
    settings = to_clients(files) | to_nodes(files)
    with ProxyProcess(secured.addresses, settings=settings, tls=papers.trusting()) as proxy:
        yield proxy
        assert proxy.tracebacks() == ""


@pytest.fixture
def client(proxy: ProxyProcess, files: TlsFiles) -> Iterator[redis.Redis]:
    with redis.Redis(port=proxy.port, **for_redis_py(files)) as client:
        client.flushall()
        yield client


def found_by_check(seed: object, settings: dict[str, str]) -> str:
    """Return what ``slotway check`` says."""
    given = with_text(Settings(), "cluster.seeds", str(seed))
    for key, text in settings.items():
        given = with_text(given, key, text)
    said: list[str] = []
    try:
        trio.run(check_cluster, given, said.append)
    except ConfigError as problem:
        said.append(str(problem))
    return "\n".join(said)


def test_requests_go_through_both_sides_in_order(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as pipe:
        for number in range(3000):
            pipe.set(f"k{number}", number)
            pipe.get(f"k{number}")
        replies = pipe.execute()
    names = [f"k{number}" for number in range(3000)]

    assert replies[1::2] == [b"%d" % number for number in range(3000)]
    assert client.mget(names) == replies[1::2]
    assert client.dbsize() == 3000
    assert len(set(client.scan_iter(count=500))) == 3000


def test_long_values_go_through_both_sides(client: redis.Redis) -> None:
    value = os.urandom(10_000_000)
    client.set("k", value)

    assert client.get("k") == value


def test_every_kind_of_connection_speaks_tls(client: redis.Redis, proxy: ProxyProcess) -> None:
    """Private ones (WATCH, blocking), the hub's, those for news of keys, scripts' own."""
    with client.pipeline() as pipe:
        pipe.watch("{t}a")
        pipe.multi()
        pipe.incr("{t}a")
        ended = pipe.execute()
    with client.pubsub() as listener:
        listener.subscribe("news")
        assert listener.get_message(timeout=DEADLINE_S)["type"] == "subscribe"
        client.publish("news", "hello")
        heard = listener.get_message(timeout=DEADLINE_S)
    popped: list[object] = []
    waiter = threading.Thread(target=lambda: popped.append(client.blpop(["q1", "q2", "q3"], 10)))
    waiter.start()
    wait_for(
        lambda: any(each["cmd"] == "blpop" for each in client.client_list()),
        DEADLINE_S,
        "somebody who blocks",
    )
    client.rpush("q3", "x")
    waiter.join()

    assert ended == [1]
    assert heard["data"] == b"hello"
    assert popped == [(b"q3", b"x")]
    assert client.eval("return redis.call('incr', KEYS[1])", 1, "n") == 1


def test_what_is_wrong_with_the_nodes_certificates_is_said(
    secured: EmbeddedCluster, files: TlsFiles, papers: Papers, tmp_path: Path
) -> None:
    seed = secured.nodes[0].address
    other = Papers(tmp_path).issue("other")
    good = to_nodes(files)

    assert "everything is in order" in found_by_check(seed, good)
    unknown = found_by_check(seed, good | {"cluster.tls_ca_file": str(other.ca)})
    assert "its certificate is not accepted (cluster.tls_ca_file)" in unknown
    misnamed = found_by_check(seed, good | {"cluster.tls_server_name": "node.example"})
    assert "its certificate is for another name (cluster.tls_server_name" in misnamed
    nothing = {"cluster.tls": "true", "cluster.tls_ca_file": str(files.ca)}
    assert "it wants a client certificate (cluster.tls_cert_file)" in found_by_check(seed, nothing)
    strange = {
        **good,
        "cluster.tls_cert_file": str(other.cert),
        "cluster.tls_key_file": str(other.key),
    }
    assert "it does not accept our certificate (cluster.tls_cert_file)" in found_by_check(
        seed, strange
    )
    crossed = good | {"cluster.tls_key_file": str(other.key)}
    assert "the key of the certificate in cluster.tls_cert_file" in found_by_check(seed, crossed)
    plain = found_by_check(seed, {})
    assert "a TLS port" in plain


def test_less_may_be_looked_at(secured: EmbeddedCluster, files: TlsFiles, tmp_path: Path) -> None:
    seed = secured.nodes[0].address
    other = Papers(tmp_path).issue("other")
    misnamed = to_nodes(files) | {"cluster.tls_server_name": "node.example"}

    by_ca = found_by_check(seed, misnamed | {"cluster.tls_verify": "chain"})
    by_nothing = found_by_check(
        seed, misnamed | {"cluster.tls_verify": "none", "cluster.tls_ca_file": str(other.ca)}
    )

    assert "everything is in order" in by_ca
    assert "everything is in order" in by_nothing


def test_a_plain_node_behind_settings_with_tls_is_said(
    cluster: EmbeddedCluster, files: TlsFiles
) -> None:
    said = found_by_check(cluster.nodes[0].address, to_nodes(files))

    assert "it does not speak TLS there" in said


def test_the_commands_for_operators_speak_tls(secured: EmbeddedCluster, files: TlsFiles) -> None:
    seed = secured.nodes[0].address
    flags = ("--tls", "--cacert", files.ca, "--cert", files.cert, "--key", files.key)

    state = json.loads(slotway("info", "--json", "--seed", seed, *flags))

    assert state["state"] == "ok"
    slotway("info", "--seed", seed, "--tls", "--cacert", files.ca, code=1)


def test_a_failover_and_a_resharding_are_survived(
    engine: str,
    make_cluster: Callable[..., EmbeddedCluster],
    make_proxy: Callable[..., ProxyProcess],
    papers: Papers,
    files: TlsFiles,
) -> None:
    if not speaks_tls(engine):
        pytest.skip(f"this {engine}-server was built without TLS")
    cluster = make_cluster(tls=files)
    settings = to_clients(files) | to_nodes(files)
    proxy = make_proxy(cluster.addresses, settings=settings, tls=papers.trusting())
    wrong: list[object] = []
    counted: dict[int, int] = {}
    is_over = threading.Event()

    def count(number: int) -> None:
        with redis.Redis(port=proxy.port, **for_redis_py(files), socket_timeout=30) as client:
            while not is_over.is_set():
                key = f"{{{number}}}count"
                try:
                    reply = client.incr(key)
                except redis.RedisError as problem:
                    if "outcome" not in str(problem):
                        wrong.append(problem)
                    reply = int(client.get(key) or 0)
                if reply < counted.get(number, 0):
                    wrong.append((number, reply, counted[number]))
                counted[number] = reply

    threads = [threading.Thread(target=count, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    try:
        source, target, victim = cluster.primaries()
        cluster.move_slots(cluster.slots_of(source)[:50], source, target)
        cluster.wait_until_in_sync()
        replica = cluster.replicas_of(victim)[0]
        replica.call("CLUSTER", "FAILOVER")
        wait_for(lambda: replica in cluster.primaries(), DEADLINE_S, "the failover")
        cluster.wait_until_agreed()
        mark = dict(counted)
        wait_for(lambda: all(counted[n] > mark[n] for n in mark), DEADLINE_S, "counting goes on")
    finally:
        is_over.set()
        for thread in threads:
            thread.join()

    assert wrong == []


def test_new_certificates_are_for_new_connections(
    secured: EmbeddedCluster, papers: Papers, files: TlsFiles, tmp_path: Path
) -> None:
    own = TlsFiles(tmp_path / "own.crt", tmp_path / "own.key", files.ca)
    shutil.copy(files.cert, own.cert)
    shutil.copy(files.key, own.key)
    with administered(secured.addresses, to_nodes(own)) as admin:
        with redis.Redis(port=admin.proxy.port) as client:
            client.set("a", 1)
            stranger = Papers(tmp_path / "stranger").issue("stranger")
            shutil.copy(stranger.cert, own.cert)
            reload(admin, "settings not reloaded")
            shutil.copy(stranger.key, own.key)
            reload(admin, "settings reloaded")
            still = client.get("a")
        for node in secured.nodes:
            node.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        wait_for(
            lambda: refused(admin.ask("/metrics").body) > 0,
            DEADLINE_S,
            "the nodes to refuse the new certificate",
        )
    assert still == b"1", "the old connection lived on"


def reload(admin: Admin, expected: str) -> None:
    os.kill(admin.proxy.pid, signal.SIGHUP)
    wait_for(lambda: expected in admin.proxy.log.read_text(), DEADLINE_S, expected)


def refused(metrics: bytes) -> float:
    name = r'slotway_tls_handshake_failures_total\{cause="refused",side="nodes"\} (\S+)'
    found = re.search(name, metrics.decode())
    assert found
    return float(found[1])
