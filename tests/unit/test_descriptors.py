"""How many clients fit under a limit of open files."""

from __future__ import annotations

import pytest

from proxy.life.descriptors import ADMIN_PORT, NODES_AT_LEAST, OWN, Room, room_under


@pytest.mark.parametrize(
    ("limit", "wanted", "room"),
    [
        (20_000, 10_000, Room(clients=10_000, below=17_904)),
        (1024, 10_000, Room(clients=794, below=826)),
        (1024, 794, Room(clients=794, below=826)),
        (1024, 100, Room(clients=100, below=826)),
        (256, 10_000, Room(clients=64, below=96)),
        (64, 10_000, Room(clients=1, below=33)),
    ],
)
def test_what_is_kept_back_is_kept_back(limit: int, wanted: int, room: Room) -> None:
    assert room_under(limit, wanted) == room


@pytest.mark.parametrize("limit", [256, 1024, 4096, 1 << 20])
def test_nodes_and_the_admin_port_always_have_theirs(limit: int) -> None:
    room = room_under(limit, 1 << 30)

    assert limit - room.below >= OWN + ADMIN_PORT + max(NODES_AT_LEAST, limit // 10)
    assert room.clients + OWN <= room.below
