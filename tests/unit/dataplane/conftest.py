"""An engine between clients and nodes, and how long hypothesis looks for trouble in it.

``HYPOTHESIS_PROFILE=fuzz`` (``make fuzz``) tries fifty times as many cases as a usual run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from sealed_board import SPECS as SEALED
from sealed_ends import Authority
from split_board import SPECS
from switchboard import FakeClient, Switchboard

from proxy.tls.sides import Guard

settings.register_profile(
    "fuzz", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
if profile := os.environ.get("HYPOTHESIS_PROFILE"):
    settings.load_profile(profile)


@pytest.fixture
def board() -> Iterator[Switchboard]:
    """Return three nodes that answer +OK, behind an engine."""
    with Switchboard(SPECS) as board:
        yield board


@pytest.fixture
def client(board: Switchboard) -> FakeClient:
    """Return a client of theirs."""
    return board.client()


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Return who signs certificates."""
    return Authority()


@pytest.fixture
def sealed(authority: Authority) -> Iterator[Switchboard]:
    """Return an engine whose clients speak TLS."""
    with Switchboard(SEALED, nodes=1) as board:
        guard = Guard()
        guard.use(authority.server())
        board.engine.secure(board.listener.fileno(), guard)
        board.ends = []
        yield board
        for end in board.ends:
            end.socket.close()
