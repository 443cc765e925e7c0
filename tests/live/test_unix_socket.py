"""Clients by a Unix socket: as at a server, beside TCP or instead of it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from engine_here import ON_ONE_ENGINE

from proxy.embedded import EmbeddedCluster, wait_for

# No server sees any of this.
pytestmark = [pytest.mark.live, ON_ONE_ENGINE, pytest.mark.usefixtures("engine")]

DEADLINE_S = 20.0

Serve = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "slotway.sock"


@pytest.fixture
def serve(cluster: EmbeddedCluster, path: Path, tmp_path: Path) -> Iterator[Serve]:
    """Start proxies at the path; takes settings by ``table.key``."""
    started = []
    log = tmp_path / "proxy.log"

    def start(**settings: str) -> subprocess.Popen[bytes]:
        given = {"listen.unix_socket": str(path), "listen.address": "", "admin.enabled": "false"}
        words = [
            f"--set={key.replace('__', '.')}={value}" for key, value in (given | settings).items()
        ]
        seeds = [word for address in cluster.addresses for word in ("--seed", str(address))]
        with log.open("a") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "proxy", "serve", *seeds, *words], stderr=output
            )
        started.append(process)
        wait_for(
            lambda: process.poll() is not None or answers(path), DEADLINE_S, "an answer or an end"
        )
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            assert process.wait(DEADLINE_S) == 0
    assert "Traceback" not in log.read_text()


def answers(path: Path) -> bool:
    try:
        with local(path) as client:
            return client.ping()
    except redis.ConnectionError:
        return False


@contextmanager
def local(path: Path) -> Iterator[redis.Redis]:
    with closing(redis.Redis(unix_socket_path=str(path))) as client:
        yield client


def test_clients_are_served_and_shown_as_a_server_shows_them(serve: Serve, path: Path) -> None:
    serve()

    with local(path) as client:
        assert client.set("user:12345", "Ada")
        assert client.get("user:12345") == b"Ada"
        seen = client.client_info()
        assert (seen["addr"], seen["laddr"]) == (f"{path}:0", f"{path}:0")
        assert seen["flags"] == "U"
        assert client.info("server")["tcp_port"] == 0


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Redis cuts an address after some 70 characters, and pytest's own paths are longer."""
    with TemporaryDirectory() as folder:
        yield Path(folder) / "server.sock"


def test_a_server_shows_such_a_client_so(tmp_path: Path, short_path: Path) -> None:
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    if server is None:
        pytest.skip("there is no redis-server; on Debian: apt install redis-server")
    path = short_path
    process = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", str(path), "--save", ""],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: answers(path), DEADLINE_S, "an answer")
        with local(path) as client:
            seen = client.client_info()
            assert (seen["addr"], seen["laddr"]) == (f"{path}:0", f"{path}:0")
            assert seen["flags"] == "U"
            assert client.info("server")["tcp_port"] == 0
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def test_redis_cli_comes_by_it(serve: Serve, path: Path) -> None:
    cli = shutil.which("redis-cli")
    if cli is None:
        pytest.skip("there is no redis-cli; on Debian: apt install redis-tools")
    serve()

    done = subprocess.run(
        [cli, "-s", str(path)],
        input=b"SET user:12345 Ada\nGET user:12345\n",
        capture_output=True,
        timeout=DEADLINE_S,
        check=True,
    )

    assert done.stdout == b"OK\nAda\n"


def test_tcp_is_beside_it_if_there_is_an_address(serve: Serve, path: Path, tmp_path: Path) -> None:
    serve(listen__address="127.0.0.1", listen__port="0")
    with local(path) as client:
        port = client.info("server")["tcp_port"]

    with closing(redis.Redis(port=port)) as remote:
        assert remote.ping()
    assert f"address='127.0.0.1:{port}, {path}'" in (tmp_path / "proxy.log").read_text()


def test_its_path_goes_with_the_process_and_a_dead_ones_is_no_hindrance(
    serve: Serve, path: Path
) -> None:
    process = serve()
    process.send_signal(signal.SIGKILL)
    process.wait(DEADLINE_S)
    assert path.exists()

    process = serve()
    assert answers(path)
    process.terminate()

    assert process.wait(DEADLINE_S) == 0
    assert not path.exists()


def test_the_second_process_is_refused_and_the_first_serves_on(
    serve: Serve, path: Path, tmp_path: Path
) -> None:
    serve()

    second = serve()

    assert second.wait(DEADLINE_S) == 2
    assert "no other process listens" in (tmp_path / "proxy.log").read_text()
    assert answers(path)
