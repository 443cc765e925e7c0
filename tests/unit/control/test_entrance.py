"""Who may come in: protected mode, rates, and who may pass connections on."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from proxy.control.entrance import ADDRESSES, Entrance, Rules
from proxy.resp import replies_door

HERE = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", ""]
ELSEWHERE = ["10.0.0.5", "2001:db8::7", "::ffff:10.0.0.5", "fe80::1"]


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def entrance_of(rules: Rules) -> tuple[Entrance, list[str], Clock]:
    noted: list[str] = []
    clock = Clock()
    entrance = Entrance(noted.append, clock)
    entrance.replace(rules)
    return entrance, noted, clock


@pytest.mark.parametrize("host", HERE)
def test_protected_mode_lets_this_machine_in(host: str) -> None:
    entrance, noted, _ = entrance_of(Rules(is_protected=True))

    assert entrance.turn_away(host, None) is None
    assert noted == []


@pytest.mark.parametrize("host", ELSEWHERE)
def test_protected_mode_lets_nobody_else_in(host: str) -> None:
    entrance, noted, _ = entrance_of(Rules(is_protected=True))

    assert entrance.turn_away(host, None) == replies_door.protected_mode()
    assert noted == ["protected_mode"]


@pytest.mark.parametrize(
    ("host", "told"),
    [("127.0.0.1", "10.0.0.5"), ("", "10.0.0.5"), ("10.0.0.5", "127.0.0.1"), ("", "/run/a.sock")],
)
def test_protected_mode_asks_where_a_client_is_and_where_it_is_passed_on(
    host: str, told: str
) -> None:
    entrance, _, _ = entrance_of(Rules(is_protected=True))

    assert entrance.turn_away(host, told) == replies_door.protected_mode()


def test_without_rules_everybody_comes_in() -> None:
    entrance, _, _ = entrance_of(Rules())

    assert all(entrance.turn_away(host, None) is None for host in HERE + ELSEWHERE)
    assert entrance.addresses == 0


def test_a_rate_lets_in_a_seconds_worth_and_then_as_many_a_second() -> None:
    entrance, noted, clock = entrance_of(Rules(per_s=3))
    refused = replies_door.too_many_connections("listen.connections_per_s", 3)

    assert [entrance.turn_away(host, None) for host in HERE[:3]] == [None] * 3
    assert entrance.turn_away("10.0.0.5", None) == refused
    clock.now_s += 0.34
    assert entrance.turn_away("10.0.0.5", None) is None
    assert entrance.turn_away("10.0.0.5", None) == refused
    clock.now_s += 100
    assert [entrance.turn_away("", None) for _ in range(3)] == [None] * 3
    assert entrance.turn_away("", None) == refused
    assert noted == ["connections_per_s"] * 3


def test_a_rate_for_each_address_counts_where_a_client_really_is() -> None:
    entrance, noted, _ = entrance_of(Rules(per_s_per_address=1))
    refused = replies_door.too_many_connections("listen.connections_per_s_per_address", 1)

    assert entrance.turn_away("127.0.0.1", "10.0.0.5") is None
    assert entrance.turn_away("127.0.0.1", "10.0.0.6") is None
    assert entrance.turn_away("127.0.0.1", "10.0.0.5") == refused
    assert entrance.turn_away("127.0.0.1", None) is None
    assert entrance.turn_away("::ffff:127.0.0.1", None) == refused
    assert entrance.turn_away("2001:db8::1", None) is None
    assert entrance.turn_away("2001:db8::ffff:2", None) == refused, "the same network of 64 bits"
    assert entrance.turn_away("2001:db8:0:1::1", None) is None
    assert entrance.turn_away("", None) is entrance.turn_away("", None) is None
    assert noted == ["connections_per_s_per_address"] * 3


def test_no_more_addresses_are_remembered_than_may() -> None:
    entrance, _, _ = entrance_of(Rules(per_s_per_address=1))

    for number in range(ADDRESSES + 10):
        assert (
            entrance.turn_away(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", None)
            is None
        )

    assert entrance.addresses == ADDRESSES
    assert entrance.turn_away("10.0.39.25", None) is not None, "it has come lately"
    assert entrance.turn_away("10.0.0.0", None) is None, "it was away longest"


def test_other_rates_begin_anew_and_the_same_do_not() -> None:
    entrance, _, _ = entrance_of(Rules(per_s=1, per_s_per_address=1))
    entrance.turn_away("10.0.0.5", None)

    entrance.replace(Rules(per_s=1, per_s_per_address=1, is_protected=False))
    assert entrance.turn_away("10.0.0.5", None) is not None
    entrance.replace(Rules(per_s=2, per_s_per_address=2))
    assert entrance.turn_away("10.0.0.5", None) is None


def test_nobody_is_believed_who_is_not_named() -> None:
    entrance, noted, _ = entrance_of(
        Rules(passers_on=(ip_network("10.0.0.0/8"), ip_network("2001:db8::1")))
    )

    for host in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"):
        assert entrance.distrusts(host) is None
    for host in ("11.1.2.3", "127.0.0.1", "2001:db8::2", ""):
        assert entrance.distrusts(host) == replies_door.header_not_believed()
    assert noted == ["proxy_protocol"] * 4
    entrance.replace(Rules(unix_passes_on=True))
    assert entrance.distrusts("") is None
    assert entrance.distrusts("10.1.2.3") is not None
