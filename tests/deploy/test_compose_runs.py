"""compose.yaml at work: its own commands, names and addresses, as containers of the test."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import image_builder
import pytest
from composed import Composed
from container import Container
from own_network import own_network

from proxy.cluster.addresses import Address
from proxy.embedded import EmbeddedError, NodeConnection, wait_for

pytestmark = [pytest.mark.live, pytest.mark.takes(70)]

NODES = tuple(f"redis-{number}" for number in range(1, 7))
DEADLINE_S = 40.0


@pytest.fixture
def composed(settings: Mapping[str, Any], root: Path, tmp_path: Path) -> Iterator[Composed]:
    """The file's machines, on which nothing runs yet."""
    with own_network():
        found = Composed(image_builder.ROOT / "compose.yaml", settings, root, tmp_path)
        with found.plugged_in():
            yield found


def start_nodes(composed: Composed) -> dict[str, Container]:
    """Start the six, and wait until they answer."""
    nodes = {name: composed.start(name) for name in NODES}
    for name in NODES:
        wait_for(lambda name=name: answers(composed, name), DEADLINE_S, name)
    return nodes


def answers(composed: Composed, name: str) -> bool:
    try:
        return ask(composed, name, "PING") == b"PONG"
    except EmbeddedError:
        return False


def ask(composed: Composed, name: str, *command: str) -> object:
    with NodeConnection(Address(composed.addresses[name], 6379)) as connection:
        return connection.call(*command)


def wait_for_visits(application: Container, more: int) -> None:
    """Wait until the application has got round so many times more."""
    wanted = visits(application) + more
    wait_for(
        lambda: visits(application) >= wanted,
        DEADLINE_S,
        lambda: f"{wanted} visits:\n{application.log.read_text()[-2000:]}",
    )


def visits(application: Container) -> int:
    found = re.findall(r"^visits=(\d+)", application.log.read_text(), re.MULTILINE)
    return int(found[-1]) if found else 0


def test_the_application_never_learns_that_there_is_a_cluster(
    composed: Composed, health_command: list[str]
) -> None:
    nodes = start_nodes(composed)
    creation = composed.start("create-cluster")
    assert creation.wait(DEADLINE_S) == 0, creation.log.read_text()
    application = composed.start("application")
    sidecar = composed.start("slotway")
    sidecar.wait_until(*health_command)
    wait_for_visits(application, 3)

    # Clients of the cluster are told the names of the file.
    told = str(ask(composed, "redis-2", "CLUSTER", "SLOTS"))
    assert all(f"b'{name}'" in told for name in NODES)

    # A primary dies: the application only waits.
    before = len(application.log.read_text())
    nodes["redis-1"].stop(signal.SIGKILL)
    wait_for_visits(application, 3)
    assert "waiting" not in application.log.read_text()[before:]

    # It comes back, and the next docker compose up leaves the cluster as it is.
    composed.start("redis-1")
    wait_for(lambda: answers(composed, "redis-1"), DEADLINE_S, "redis-1")
    again = composed.start("create-cluster")
    assert again.wait(DEADLINE_S) == 0, again.log.read_text()

    assert sidecar.stop() == 0


def test_a_restart_of_everything_keeps_the_data(
    composed: Composed, health_command: list[str]
) -> None:
    nodes = start_nodes(composed)
    assert composed.start("create-cluster").wait(DEADLINE_S) == 0
    application = composed.start("application")
    composed.start("slotway").wait_until(*health_command)
    wait_for_visits(application, 2)

    for node in nodes.values():
        node.stop(signal.SIGTERM)
    start_nodes(composed)
    assert composed.start("create-cluster").wait(DEADLINE_S) == 0
    wait_for_visits(application, 2)

    counted = [int(n) for n in re.findall(r"visits=(\d+)", application.log.read_text())]
    assert counted == sorted(counted)


@pytest.mark.skipif(
    shutil.which("prometheus") is None,
    reason="there is no prometheus; on Debian: apt install prometheus",
)
def test_prometheus_finds_the_sidecar_and_the_rules(composed: Composed) -> None:
    composed.start("slotway")
    composed.start("prometheus")

    (target,) = wait_for(lambda: found_up(composed), DEADLINE_S, "a target that is up")

    assert target["labels"] == {"instance": "slotway:9379", "job": "slotway"}
    assert [group["file"] for group in query(composed, "rules")["groups"]]


def query(composed: Composed, what: str) -> dict[str, Any]:
    address = composed.addresses["prometheus"]
    with urlopen(f"http://{address}:9090/api/v1/{what}", timeout=DEADLINE_S) as answer:
        found: dict[str, Any] = json.load(answer)["data"]
        return found


def found_up(composed: Composed) -> list[dict[str, Any]]:
    try:
        targets = query(composed, "targets")["activeTargets"]
    except OSError:
        return []
    return [target for target in targets if target["health"] == "up"]
