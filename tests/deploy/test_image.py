"""The image, built from the Dockerfile as shipped, and run with the README's own line.

Size and start are printed: pytest -s tests/deploy/test_image.py.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import image_builder
import pytest
import redis
from container import Container, RunLine
from own_network import own_network

from proxy.embedded import RedisNode, find_engine, wait_for
from proxy.embedded.agreement import find_disagreement
from proxy.embedded.formation import form_cluster
from proxy.embedded.leash import Leash

pytestmark = [pytest.mark.live, pytest.mark.takes(220)]

NODE_PORTS = (7000, 7001, 7002)
NAMES = {"redis-1": "127.0.0.1", "redis-2": "127.0.0.1"}
DEADLINE_S = 20.0
QUICK_S = 8.0
SIZE_LIMIT_MB = 220  # of which Debian and its Python are 120
USER = "10001"

Start = Callable[..., Container]


@pytest.fixture(scope="module")
def network(image: str) -> Iterator[None]:
    """A network with nothing in it."""
    with own_network():
        yield


@pytest.fixture(scope="module")
def cluster(network: None) -> Iterator[None]:
    """Three primaries at the port that the README's line names."""
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        nodes = []
        for port in NODE_PORTS:
            (directory := leash.directory / str(port)).mkdir()
            node = RedisNode(
                binary=find_engine("valkey"),
                port=port,
                directory=directory,
                leash=leash,
                settings={"cluster-enabled": "yes"},
            )
            stack.callback(node.kill)
            node.start()
            nodes.append(node)
        form_cluster(nodes, ())
        wait_for(lambda: find_disagreement(nodes) is None, DEADLINE_S, "an agreement")
        yield


@pytest.fixture
def start(root: Path, settings: Mapping[str, Any], tmp_path: Path) -> Iterator[Start]:
    """Start containers; takes the line to start one with."""
    with ExitStack() as stack:

        def run(line: RunLine) -> Container:
            return stack.enter_context(
                Container(root, line.plan(settings), names=NAMES, directory=tmp_path)
            )

        yield run


def test_the_readmes_line_serves_a_cluster(
    cluster: None, start: Start, run_line: str, health_command: list[str]
) -> None:
    line = RunLine.parse(run_line)
    assert line.read_only
    assert line.ports.keys() == set(line.ports.values()), "here a port is published as it is"

    began = time.monotonic()
    container = start(line)
    container.wait_until(*health_command)
    healthy_s = time.monotonic() - began

    with closing(redis.Redis(port=6379)) as client:
        assert client.ping()
        assert client.set("user:12345", "Ada")
        assert client.get("user:12345") == b"Ada"
        assert client.mset({f"key:{number}": number for number in range(100)})
        assert client.dbsize() == 101
    began = time.monotonic()
    assert container.stop(signal.SIGTERM) == 0
    ended_s = time.monotonic() - began
    print(f"\nhealthy after {healthy_s:.2f} s, ended {ended_s:.2f} s after SIGTERM")
    assert ended_s < QUICK_S
    for entry in container.log.read_text().splitlines():
        assert "Traceback" not in json.loads(entry)


def test_it_has_no_rights_and_writes_nothing(
    cluster: None, start: Start, run_line: str, health_command: list[str]
) -> None:
    container = start(RunLine.parse(run_line))
    container.wait_until(*health_command)

    status = Path(f"/proc/{container.pid}/status").read_text()
    command = Path(f"/proc/{container.pid}/cmdline").read_bytes()

    assert b"serve" in command  # it is process 1 itself, not a child of a shell
    assert re.search(rf"^Uid:\s+{USER}\s+{USER}\s+{USER}\s", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NSpid:\s+\d+\s+1$", status, re.MULTILINE)
    assert container.run("touch", "/tmp/a").returncode != 0


def test_probes_and_scrapes_reach_it_from_outside(
    cluster: None, start: Start, run_line: str, health_command: list[str]
) -> None:
    container = start(RunLine.parse(run_line))
    container.wait_until(*health_command)

    for path in ("livez", "readyz", "metrics"):
        with urlopen(f"http://127.0.0.1:9379/{path}") as answer:
            assert answer.status == 200


def test_without_its_cluster_it_is_not_healthy_and_ends_all_the_same(
    network: None, start: Start, health_command: list[str]
) -> None:
    container = start(RunLine("slotway", environment={"SLOTWAY_CLUSTER__SEEDS": "127.0.0.1:1"}))
    container.wait_until("python3", "-c", "import os; os.stat('/proc/1')")
    container.wait_until(
        *("python3", "-c"),
        "from urllib.request import urlopen; urlopen('http://127.0.0.1:9379/livez')",
    )

    assert container.run(*health_command).returncode != 0
    assert container.stop(signal.SIGTERM) == 0


def test_it_holds_the_program_and_nothing_to_build_it_with(root: Path) -> None:
    size_mb = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir()) / 1e6
    print(f"\n{size_mb:.0f} MB of files")

    assert size_mb < SIZE_LIMIT_MB
    for program in ("gcc", "cc", "pip", "pip3", "make"):
        assert list(root.glob(f"*/bin/{program}")) == []
        assert list(root.glob(f"opt/slotway/bin/{program}")) == []
    installed = root / "opt/slotway/lib"
    assert list(installed.rglob("*.c")) + list(installed.rglob("*.pyx")) == []
    assert len(list(installed.rglob("proxy/dataplane/*.so"))) == len(
        list((image_builder.ROOT / "proxy/dataplane").glob("*.pyx"))
    )
    assert (root / "etc/slotway/proxy.toml").read_text() == (
        image_builder.ROOT / "proxy.toml"
    ).read_text()
    assert list((root / "etc/xdg/pip").glob("*")) == []  # this machine's


def test_it_says_what_it_is(settings: Mapping[str, Any]) -> None:
    labels = settings["Labels"]

    assert labels["org.opencontainers.image.title"] == "slotway"
    assert settings["StopSignal"] == "SIGTERM"
    assert settings["User"] == f"{USER}:{USER}"
    assert set(settings["ExposedPorts"]) == {"6379/tcp", "9379/tcp"}


def test_it_is_of_the_version_that_the_project_has(settings: Mapping[str, Any]) -> None:
    labels = settings["Labels"]
    version = re.search(
        r'^version = "(.+)"', (image_builder.ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert version is not None

    assert labels["org.opencontainers.image.version"] == version[1]
