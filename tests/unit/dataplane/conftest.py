"""An engine whose clients speak TLS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sealed_board import SPECS
from sealed_ends import Authority
from switchboard import Switchboard

from proxy.tls.sides import Guard


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def sealed(authority: Authority) -> Iterator[Switchboard]:
    """An engine whose clients speak TLS."""
    with Switchboard(SPECS, nodes=1) as board:
        guard = Guard()
        guard.use(authority.server())
        board.engine.secure(board.listener.fileno(), guard)
        board.ends = []
        yield board
        for end in board.ends:
            end.socket.close()
