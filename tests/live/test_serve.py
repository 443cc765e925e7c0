"""The process: how it starts, ends and refuses, and what ``check`` finds wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import redis
import trio

from proxy.check import check_cluster
from proxy.cluster.topology import Address
from proxy.config import Settings
from proxy.embedded import (
    EmbeddedCluster,
    NodeConnection,
    ProxyProcess,
    StandaloneServer,
    lease_ports,
    wait_for,
)

pytestmark = pytest.mark.live

COMMAND_DEADLINE_S = 20.0
# Far less than anybody waits for after Ctrl-C, and than listen.drain_s.
QUICK_S = 8.0

MakeProxy = Callable[..., ProxyProcess]


def slotway(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_DEADLINE_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


# ---- the end -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_it_at_once_with_clients_connected(
    cluster: EmbeddedCluster, number: signal.Signals
) -> None:
    with ProxyProcess(cluster.addresses) as proxy:
        idle = redis.Redis(port=proxy.port)
        idle.set("a", 1)
        with socket.create_connection((proxy.address.host, proxy.port)) as halfway:
            halfway.sendall(b"*2\r\n$3\r\nGET\r\n$5\r\nab")

            started = time.monotonic()
            os.kill(proxy.pid, number)

            assert proxy.wait() == 0
            assert time.monotonic() - started < QUICK_S
            assert halfway.recv(1) == b""
        assert proxy.tracebacks() == ""
        idle.close()


def test_a_request_in_flight_is_answered_before_the_end(cluster: EmbeddedCluster) -> None:
    slow = "for i = 1, 3e7 do end return 'late'"  # some tenths of a second
    with ProxyProcess(cluster.addresses) as proxy:
        client = redis.Redis(port=proxy.port)
        answers: list[object] = []
        asking = threading.Thread(target=lambda: answers.append(client.eval(slow, 1, "key")))
        asking.start()
        with NodeConnection(proxy.address) as bystander:
            wait_for(
                lambda: "cmd=eval" in str(bystander.call("CLIENT", "LIST")), COMMAND_DEADLINE_S
            )

        os.kill(proxy.pid, signal.SIGTERM)
        code = proxy.wait()
        asking.join()
        client.close()
        assert proxy.tracebacks() == ""

    assert answers == [b"late"]
    assert code == 0


# ---- the start ---------------------------------------------------------------------


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        refused = slotway("serve", "--listen", f"127.0.0.1:{port}")

    assert refused.returncode == 2
    assert "listen.port" in refused.stderr
    assert f"127.0.0.1, {port}" in refused.stderr
    assert "Address already in use" in refused.stderr


# tests/unit/test_config.py has all that can be wrong; these show what becomes of it.
BAD_SETTINGS = {
    "a key that does not exist": ("[listen]\nprot = 6379\n", ["listen.prot", "listen.port"]),
    "a value out of range": ("[listen]\nport = 70000\n", ["listen.port", "70000", "65535"]),
}


@pytest.mark.parametrize(("text", "words"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_settings_that_are_wrong_are_refused_by_name(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    config = tmp_path / "proxy.toml"
    config.write_text(text)

    refused = slotway("serve", "--config", str(config))

    assert refused.returncode == 2
    assert refused.stdout == ""
    for word in words:
        assert word in refused.stderr


def test_the_version_is_told() -> None:
    try:
        installed = version("slotway")
    except PackageNotFoundError:
        pytest.skip("a checkout that is not installed has no version")

    told = slotway("version")

    assert told.returncode == 0
    assert told.stdout == f"slotway {installed}\n"


# ---- limits ------------------------------------------------------------------------


def test_the_client_over_the_limit_gets_an_error_and_its_place_is_free_again(
    cluster: EmbeddedCluster, make_proxy: MakeProxy
) -> None:
    proxy = make_proxy(cluster.addresses, settings={"listen.max_clients": "3"})

    def connect() -> socket.socket:
        return socket.create_connection((proxy.address.host, proxy.port), COMMAND_DEADLINE_S)

    def is_served() -> bool:
        with connect() as client, suppress(ConnectionError):
            client.sendall(b"PING\r\n")
            return client.recv(100) == b"+PONG\r\n"
        return False

    # The connection with which the start was awaited may not be gone yet.
    wait_for(is_served, COMMAND_DEADLINE_S, "a place")
    guests = [connect() for _ in range(3)]
    for guest in guests:
        guest.sendall(b"PING\r\n")
        assert guest.recv(100) == b"+PONG\r\n"
    with connect() as one_too_many:
        told = one_too_many.recv(100)
        end = one_too_many.recv(100)
    guests.pop().close()
    wait_for(is_served, COMMAND_DEADLINE_S, "the place that was left")
    for guest in guests:
        guest.close()

    assert told == b"-ERR max number of clients reached\r\n"
    assert end == b""


# ---- check -------------------------------------------------------------------------


def findings(seeds: Sequence[Address], **cluster: object) -> tuple[int, str]:
    """Return how many problems ``check`` finds, and what it says."""
    lines: list[str] = []
    tables = {"cluster": {"seeds": tuple(map(str, seeds)), "connect_timeout_s": 0.5, **cluster}}
    problems = trio.run(check_cluster, Settings.model_validate(tables), lines.append)
    return problems, "\n".join(lines)


def test_check_is_content_with_a_healthy_cluster(cluster: EmbeddedCluster) -> None:
    checked = slotway("check", *(word for a in cluster.addresses for word in ("-s", str(a))))

    assert checked.returncode == 0, checked.stdout
    assert "everything is in order" in checked.stdout
    assert "all 16384 slots have an owner, 3 primaries" in checked.stdout


def test_check_finds_a_server_that_is_no_cluster(standalone: StandaloneServer) -> None:
    checked = slotway("check", "-s", str(standalone.address))

    assert checked.returncode == 1
    assert str(standalone.address) in checked.stdout
    assert "not in cluster mode" in checked.stdout


def test_check_finds_slots_without_an_owner(engine: str, tmp_path: Path) -> None:
    settings = {"cluster-enabled": "yes", "cluster-config-file": str(tmp_path / "nodes.conf")}
    with StandaloneServer(engine, settings=settings) as alone:
        alone.node.call("CLUSTER", "ADDSLOTS", *range(100))

        problems, said = findings([alone.address])

    assert problems
    assert "16284 of 16384 slots have no owner" in said
    assert "cluster_state is fail" in said


def test_check_finds_a_node_that_is_down(make_cluster: Callable[..., EmbeddedCluster]) -> None:
    broken = make_cluster(replicas=0)
    broken.nodes[2].kill()

    problems, said = findings(broken.addresses[:1])

    assert problems
    assert f"problem: primary {broken.addresses[2]}" in said
    assert "nothing listens there" in said
    assert "cluster.address_map" in said


@contextmanager
def answering(reply: bytes) -> Iterator[Address]:
    """Listen; answer each client with this, or with nothing for ever if it is empty."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client:
                        client.recv(1000)
                        client.sendall(reply)

        if reply:
            threading.Thread(target=serve).start()
        yield Address("127.0.0.1", listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"", "does not answer"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak the Redis protocol"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "does not speak the Redis protocol"),
    ],
    ids=["silence", "HTTP", "TLS alert"],
)
def test_check_finds_something_else_at_the_port(reply: bytes, words: str) -> None:
    with answering(reply) as address:
        problems, said = findings([address])

    assert problems
    assert words in said
    assert "nothing can be served" in said


def test_check_finds_that_nobody_listens() -> None:
    with lease_ports(1) as nobody:
        problems, said = findings([Address("127.0.0.1", nobody.ports[0])])

    assert problems
    assert "nothing listens there" in said


def test_check_finds_a_name_that_does_not_resolve() -> None:
    problems, said = findings([Address("no-such-host.invalid", 6379)])

    assert problems
    assert "the name does not resolve here" in said
