"""What ``slotway check`` says of the door."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.check import check_door
from proxy.config import Settings


def said(**tables: object) -> list[str]:
    lines: list[str] = []
    check_door(Settings.model_validate(tables), lines.append)
    return lines


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_on_this_machine_there_is_nothing_to_say(address: str) -> None:
    assert said(listen={"address": address}) == []


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.5", "proxy.example"])
def test_without_a_password_it_says_who_is_refused_or_who_is_not(address: str) -> None:
    (refused,) = said(listen={"address": address})
    (open_to_all,) = said(listen={"address": address, "protected_mode": False})

    assert "listen.protected_mode refuses other machines" in refused
    assert f"whoever reaches {address} may do anything" in open_to_all


@pytest.mark.parametrize(
    "clients", [{"password": "x"}, {"users": {"ada": "x"}}, {"acl": "pass"}], ids=str
)
def test_with_users_there_is_nothing_to_say(clients: dict[str, object]) -> None:
    assert said(listen={"address": "0.0.0.0"}, clients=clients) == []


def test_a_socket_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    missing = {"address": "", "unix_socket": str(tmp_path / "missing" / "slotway.sock")}
    there = {"address": "", "unix_socket": str(tmp_path / "slotway.sock")}

    assert "listen.unix_socket" in said(listen=missing)[0]
    assert said(listen=there) == []
