"""Sockets that outlive the proxy, and what the service manager is told; it is played here."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

import pytest
import redis
from service_manager import told

from proxy.cluster.addresses import Address
from proxy.embedded import EmbeddedCluster, ProxyProcess, lease_ports, wait_for

pytestmark = pytest.mark.live

DEADLINE_S = 20.0
RESTARTS = 4
PING, PONG = b"PING\r\n", b"+PONG\r\n"

# What a service manager does between fork and exec: the sockets become 3, 4, ..., and
# LISTEN_PID is the process itself.
ACTIVATE = """
import fcntl, os, sys
given = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 100) for number in sys.argv[1].split(",")]
for place, number in enumerate(given, 3):
    os.dup2(number, place, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(given))}
os.execv(sys.executable, [sys.executable, "-m", "proxy", *sys.argv[2:]])
"""

Activate = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def engine() -> str:
    """One is enough: no server sees any of this."""
    return "valkey"


@pytest.fixture
def activate(tmp_path: Path) -> Iterator[Activate]:
    """Start proxies with sockets passed to them; takes the seeds, the sockets, environment."""
    started: list[subprocess.Popen[str]] = []

    def start(
        seeds: tuple[Address, ...],
        *sockets: socket.socket,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        numbers = [each.fileno() for each in sockets]
        with (tmp_path / "proxy.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", ACTIVATE, ",".join(map(str, numbers)), "serve"],
                env=os.environ
                | {"SLOTWAY_ADMIN__ENABLED": "false"}
                | {"SLOTWAY_CLUSTER__SEEDS": ",".join(map(str, seeds))}
                | dict(environment or {}),
                pass_fds=numbers,
                stderr=log,
                text=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    assert "Traceback" not in (tmp_path / "proxy.log").read_text()


def ask(connection: socket.socket) -> bytes:
    """Return the answer to a PING that has been sent."""
    with connection:
        connection.settimeout(DEADLINE_S)
        return connection.recv(100)


def end(process: subprocess.Popen[str]) -> int:
    """Stop a proxy in good order and return its exit code."""
    process.terminate()
    return process.wait(DEADLINE_S)


def test_who_connects_while_no_proxy_runs_is_answered_by_the_next(
    cluster: EmbeddedCluster, activate: Activate
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(2):
            early = socket.create_connection(listener.getsockname())
            early.sendall(PING)

            process = activate(cluster.addresses, listener)

            assert ask(early) == PONG
            assert end(process) == 0


def test_nobody_is_refused_during_restarts(cluster: EmbeddedCluster, activate: Activate) -> None:
    refused: list[OSError] = []
    answered = 0
    over = threading.Event()

    def come_and_go() -> None:
        nonlocal answered
        while not over.is_set():
            try:
                connection = socket.create_connection(listener.getsockname())
            except OSError as problem:
                refused.append(problem)
                continue
            # One that is closed before its PING arrives has been told so, and comes again.
            with suppress(ConnectionError):
                connection.sendall(PING)
                answered += ask(connection) == PONG

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        process = activate(cluster.addresses, listener)
        load = threading.Thread(target=come_and_go)
        load.start()
        try:
            for _ in range(RESTARTS):
                before = answered
                wait_for(lambda before=before: answered > before + 10, DEADLINE_S, "answers")
                assert end(process) == 0
                process = activate(cluster.addresses, listener)
            before = answered
            wait_for(lambda: answered > before, DEADLINE_S, "an answer after the last restart")
        finally:
            over.set()
            load.join()

    assert refused == []


def test_a_unix_socket_can_be_passed(
    cluster: EmbeddedCluster, activate: Activate, tmp_path: Path
) -> None:
    path = str(tmp_path / "slotway.sock")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        closing(redis.Redis(unix_socket_path=path)) as local,
        closing(redis.Redis(port=tcp.getsockname()[1])) as remote,
    ):
        unix.bind(path)
        unix.listen()
        activate(cluster.addresses, unix, tcp)

        assert local.set("user:12345", "Ada")
        assert remote.get("user:12345") == b"Ada"
        assert local.info("server")["tcp_port"] == tcp.getsockname()[1]
        assert local.client_info()["addr"].endswith(":0")


def test_systemds_own_tool_passes_it_a_socket(cluster: EmbeddedCluster) -> None:
    tool = shutil.which("systemd-socket-activate")
    if tool is None:
        pytest.skip("there is no systemd-socket-activate; on Debian: apt install systemd")
    variables = {
        "SLOTWAY_ADMIN__ENABLED": "false",
        "SLOTWAY_CLUSTER__SEEDS": ",".join(map(str, cluster.addresses)),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    with lease_ports(1) as lease:
        process = subprocess.Popen(
            [
                *(tool, f"--listen=127.0.0.1:{lease.ports[0]}"),
                *(f"--setenv={name}={value}" for name, value in variables.items()),
                *(sys.executable, "-m", "proxy", "serve"),
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: answers(lease.ports[0]), DEADLINE_S, "an answer")
        finally:
            process.terminate()
            assert process.wait(DEADLINE_S) == 0


def test_a_socket_that_does_not_listen_is_refused_by_name(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    with socket.socket() as deaf:
        done = subprocess.run(
            [sys.executable, "-c", ACTIVATE, str(deaf.fileno()), "serve"],
            pass_fds=[deaf.fileno()],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    assert done.returncode == 2
    assert "LISTEN_FDS" in done.stderr
    assert "does not listen" in done.stderr


def test_sockets_for_another_process_are_left_alone(cluster: EmbeddedCluster) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        lease_ports(1) as lease,
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "serve", "-l", f"127.0.0.1:{lease.ports[0]}"],
            env=os.environ
            | {"LISTEN_PID": "1", "LISTEN_FDS": "1", "SLOTWAY_ADMIN__ENABLED": "false"}
            | {"SLOTWAY_CLUSTER__SEEDS": ",".join(map(str, cluster.addresses))},
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: answers(lease.ports[0]), DEADLINE_S, "its own port")
        finally:
            process.terminate()
            assert process.wait(DEADLINE_S) == 0


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(PING)
            return connection.recv(100) == PONG
    except ConnectionError:
        return False


def test_the_service_manager_hears_of_every_change(
    cluster: EmbeddedCluster, activate: Activate, tmp_path: Path
) -> None:
    path = tmp_path / "notify"
    with told(path) as wait_for_line, socket.create_server(("127.0.0.1", 0)) as listener:
        process = activate(
            cluster.addresses,
            listener,
            environment={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"},
        )

        wait_for_line("READY=1")
        wait_for_line("WATCHDOG=1")
        process.terminate()
        wait_for_line("STOPPING=1")

        assert process.wait(DEADLINE_S) == 0


def test_it_is_ready_only_when_it_can_serve(activate: Activate, tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with (
        told(path) as wait_for_line,
        lease_ports(1) as nobody,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        process = activate(
            (Address("127.0.0.1", nobody.ports[0]),),
            listener,
            environment={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"},
        )

        # It lives, and looks for its cluster.
        assert "READY=1" not in wait_for_line("WATCHDOG=1")
        assert end(process) == 0


def test_two_processes_share_a_port_if_both_say_so(cluster: EmbeddedCluster) -> None:
    shared = {"listen.reuse_port": "true"}
    with (
        ProxyProcess(cluster.addresses, settings=shared) as first,
        ProxyProcess(cluster.addresses, settings=shared, port=first.port) as second,
    ):
        seen: set[int] = set()

        def both_seen() -> bool:
            with closing(redis.Redis(port=first.port)) as client:
                seen.add(client.info("server")["process_id"])
            return seen == {first.pid, second.pid}

        wait_for(both_seen, DEADLINE_S, "answers of both")
