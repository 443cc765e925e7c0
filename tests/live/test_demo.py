"""``slotway demo`` as a user runs it: the whole tour, and leaving in the middle."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxy.embedded import lease_ports
from proxy.embedded.ports import is_port_free

pytestmark = [pytest.mark.live, pytest.mark.takes(30)]

TOUR_DEADLINE_S = 240
END_DEADLINE_S = 20


@contextmanager
def demo(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the demo in a process of its own, and kill it if it is still there at the end."""
    command = [sys.executable, "-m", "proxy", "demo", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Return what the demo printed up to the line with ``words``."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"no {words!r} in: {''.join(lines)}")


def test_the_tour_holds_from_end_to_end(engine: str) -> None:
    with lease_ports(1) as lease:
        arguments = ["--tour", "--engine", engine, "--port", str(lease.ports[0])]
        with demo(*arguments) as process:
            printed, _ = process.communicate(timeout=TOUR_DEADLINE_S)

    assert process.returncode == 0, printed
    assert "Everything held." in printed
    assert "Traceback" not in printed
    assert is_port_free(lease.ports[0])


def test_an_interrupt_while_it_runs_ends_everything_and_says_nothing(engine: str) -> None:
    with (
        lease_ports(1) as lease,
        demo("--engine", engine, "--port", str(lease.ports[0])) as process,
    ):
        printed = read_until(process, "Running until Ctrl-C")
        nodes = [int(port) for port in re.findall(r"\d+", printed.partition(" on ports ")[2])]
        assert len(nodes) == 6
        assert not any(is_port_free(port) for port in (*nodes, *lease.ports))

        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=END_DEADLINE_S)

        assert rest.strip() == ""
        assert process.returncode == 0
        assert all(is_port_free(port) for port in (*nodes, *lease.ports))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_before_it_is_ready_says_nothing_either(number: signal.Signals) -> None:
    with lease_ports(1) as lease, demo("--port", str(lease.ports[0])) as process:
        read_until(process, "slotway demo")

        process.send_signal(number)
        rest, _ = process.communicate(timeout=END_DEADLINE_S)

        assert "Traceback" not in rest
        assert process.returncode == 130


def test_a_port_in_use_is_named() -> None:
    with lease_ports(1) as lease, demo("--port", str(lease.ports[0])) as first:
        read_until(first, "Running until Ctrl-C")
        with demo("--port", str(lease.ports[0])) as second:
            printed, _ = second.communicate(timeout=END_DEADLINE_S)

    assert second.returncode == 1
    assert f"port {lease.ports[0]} is in use" in printed


def test_an_engine_that_does_not_exist_is_named() -> None:
    with demo("--engine", "memcached") as process:
        printed, _ = process.communicate(timeout=END_DEADLINE_S)

    assert process.returncode == 1
    assert "'memcached' is not one of valkey, redis" in printed
