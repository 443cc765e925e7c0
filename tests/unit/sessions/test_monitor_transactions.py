"""What MONITOR shows of a transaction, and how much of one it keeps until EXEC."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from session_fakes import FakeClient

from proxy.commands.table import snapshot_table
from proxy.control.lane_key import LaneKey
from proxy.dataplane.lane import Lane
from proxy.dataplane.tables import CommandTable
from proxy.sessions.monitor import QUEUED_LIMIT_BYTES, Monitors

TABLE = CommandTable(snapshot_table())


@dataclass(eq=False)
class MonitoredClient(FakeClient):
    """A client with a lane, as the engine's have one."""

    lane: Lane = field(default_factory=lambda: Lane(2, 1, LaneKey(2)))
    is_gated: bool = False


class FakeEngine:
    """Remembers what was pushed."""

    command_table = TABLE

    def __init__(self) -> None:
        self.tap = None
        self.said: list[bytes] = []

    def push(self, client: object, frame: bytes) -> None:
        self.said.append(frame.partition(b"] ")[2].rstrip())


class NobodyIsSlow:
    """Watches and does nothing."""

    def watch(self, client: object) -> None:
        """Look at nobody."""


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def monitors(engine: FakeEngine) -> Monitors:
    made = Monitors(engine, NobodyIsSlow(), lambda client: False)
    made.join(MonitoredClient(id=1))
    return made


def show(monitors: Monitors, client: MonitoredClient, *lines: bytes) -> None:
    for line in lines:
        monitors.show(client, line.split(b" "))


def test_queued_commands_are_shown_when_they_run(engine: FakeEngine, monitors: Monitors) -> None:
    client = MonitoredClient(id=2)

    show(monitors, client, b"MULTI", b"SET k v", b"GET k")
    before = list(engine.said)
    show(monitors, client, b"EXEC", b"GET k")

    assert before == [b'"MULTI"']
    assert engine.said[1:] == [b'"SET" "k" "v"', b'"GET" "k"', b'"EXEC"', b'"GET" "k"']


def test_a_transaction_with_a_mistake_in_it_shows_no_command(
    engine: FakeEngine, monitors: Monitors
) -> None:
    show(monitors, MonitoredClient(id=2), b"MULTI", b"SET k v", b"SET k", b"GET k", b"EXEC")

    assert engine.said == [b'"MULTI"', b'"EXEC"']


def test_a_discarded_transaction_shows_no_command(engine: FakeEngine, monitors: Monitors) -> None:
    show(monitors, MonitoredClient(id=2), b"MULTI", b"SET k v", b"DISCARD", b"GET k")

    assert engine.said == [b'"MULTI"', b'"DISCARD"', b'"GET" "k"']


def test_clients_do_not_mix(engine: FakeEngine, monitors: Monitors) -> None:
    one, other = MonitoredClient(id=2), MonitoredClient(id=3)

    show(monitors, one, b"MULTI", b"SET k v")
    show(monitors, other, b"GET k")
    monitors.forget(one)
    show(monitors, one, b"GET k")

    assert engine.said == [b'"MULTI"', b'"GET" "k"', b'"GET" "k"']


@pytest.mark.parametrize(("extra", "is_kept"), [(-1000, True), (1, False)])
def test_of_a_long_transaction_only_the_end_is_shown(
    engine: FakeEngine, monitors: Monitors, extra: int, is_kept: bool
) -> None:
    client = MonitoredClient(id=2)

    show(monitors, client, b"MULTI", b"SET k " + b"x" * (QUEUED_LIMIT_BYTES + extra), b"EXEC")

    assert len(engine.said) == 2 + is_kept
    assert engine.said[-1] == b'"EXEC"'
