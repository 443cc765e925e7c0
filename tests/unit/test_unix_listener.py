"""A Unix socket is made where nobody else is, and removed by whoever made it."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.config import Listen
from proxy.errors import ConfigError
from proxy.unix_listener import UnixListener


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "slotway.sock"


@pytest.fixture
def somebody(path: Path) -> Iterator[socket.socket]:
    """Another process's socket, which listens there."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        yield listener


def open_at(path: Path, **settings: object) -> UnixListener:
    return UnixListener.open(Listen.model_validate({"unix_socket": str(path), **settings}))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_listens_and_its_path_goes_with_it(path: Path) -> None:
    with open_at(path):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert mode_of(path) == 0o700

    assert not path.exists()


@pytest.mark.parametrize("mode", ["770", "0777", "600"])
def test_its_rights_are_those_of_the_settings_whatever_the_umask(path: Path, mode: str) -> None:
    before = os.umask(0o077)
    try:
        with open_at(path, unix_socket_mode=mode, unix_socket_group=str(os.getgid())):
            assert mode_of(path) == int(mode, 8)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)


def test_what_a_dead_process_has_left_is_removed(path: Path, somebody: socket.socket) -> None:
    somebody.close()
    assert path.exists()

    with open_at(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("waiting", [0, 2], ids=["with room", "with no room to wait"])
def test_where_somebody_listens_nobody_else_does(
    path: Path, somebody: socket.socket, waiting: int
) -> None:
    clients = [socket.socket(socket.AF_UNIX) for _ in range(waiting)]
    for client in clients:
        client.connect(str(path))

    with pytest.raises(ConfigError, match="no other process listens"):
        open_at(path)

    assert path.exists()
    for client in clients:
        client.close()


def test_a_file_is_left_alone(path: Path) -> None:
    path.write_text("precious")

    with pytest.raises(ConfigError, match=r"listen\.unix_socket"):
        open_at(path)

    assert path.read_text() == "precious"


def test_a_path_that_is_another_socket_by_now_is_left_alone(path: Path) -> None:
    first = open_at(path)
    path.unlink()
    with open_at(path):
        first.close()

        assert path.exists()


def test_a_path_that_is_another_processs_is_left_alone(path: Path) -> None:
    listener = open_at(path)
    listener.disown()

    listener.close()

    assert path.exists()


@pytest.mark.parametrize(
    ("place", "why"),
    [("missing/slotway.sock", "No such file"), ("x" * 120, "too long")],
    ids=["no directory", "too long"],
)
def test_what_is_wrong_with_a_path_is_told(tmp_path: Path, place: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        open_at(tmp_path / place)


def test_an_unknown_group_is_told_and_nothing_is_left(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"listen\.unix_socket_group"):
        open_at(path, unix_socket_group="nobody-has-this-name")

    assert not path.exists()
