"""Addresses in every form they come in, and the map for NAT."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.addresses import Address, AddressMap, split_host_port


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7000", Address("127.0.0.1", 7000)),
        ("redis-0.redis.svc.cluster.local:6379", Address("redis-0.redis.svc.cluster.local", 6379)),
        ("[::1]:6379", Address("::1", 6379)),
        ("::1:6379", Address("::1", 6379)),
        ("[fe80::1%eth0]:65535", Address("fe80::1%eth0", 65535)),
        ("h:1", Address("h", 1)),
    ],
)
def test_an_address_is_read_as_people_and_as_servers_write_it(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "host", "host:", ":6379", "host:0", "host:65536", "host:x", "host:-1", "host:\u0661",
     "host:7000@17000", "[::1:6379", "::1]:6379", "[]:6379", "host:" + "9" * 5000,
     "host:0000099999"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"host:port|no host|1\.\.65535|brackets"):
        Address.parse(text)


def test_a_host_may_be_missing_where_the_wire_leaves_it_out() -> None:
    assert split_host_port(":6379") == ("", 6379)


HOSTS = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True),
)


@given(HOSTS, st.integers(1, 65535))
def test_an_address_is_read_back_as_it_was_printed(host: str, port: int) -> None:
    address = Address(host, port)

    assert Address.parse(str(address)) == address
    assert Address.parse(f"{host}:{port}") == address


MAP = AddressMap.parse(
    {
        "10.0.0.5:7000": "127.0.0.1:17000",
        "10.0.0.6": "gateway.example",
        "[fd00::5]:7000": "[::1]:17000",
        "fd00::6": "::1",
    }
)


@pytest.mark.parametrize(
    ("announced", "reachable"),
    [
        ("10.0.0.5:7000", "127.0.0.1:17000"),
        ("10.0.0.5:7001", "10.0.0.5:7001"),
        ("10.0.0.6:7000", "gateway.example:7000"),
        ("10.0.0.6:7001", "gateway.example:7001"),
        ("fd00::5:7000", "[::1]:17000"),
        ("fd00::6:7000", "[::1]:7000"),
        ("10.0.0.7:7000", "10.0.0.7:7000"),
    ],
)
def test_the_address_map_says_where_a_node_is_reached(announced: str, reachable: str) -> None:
    assert str(MAP.reachable(Address.parse(announced))) == reachable


def test_a_whole_address_beats_its_host() -> None:
    both = AddressMap.parse({"h:1": "a:2", "h": "b"})

    assert both.reachable(Address("h", 1)) == Address("a", 2)
    assert both.reachable(Address("h", 3)) == Address("b", 3)


@pytest.mark.parametrize(
    "entries", [{"h:1": "b"}, {"h": "b:1"}, {"": "b"}, {"h": ""}, {"h:x": "b:1"}, {"h:1": "b:0"}]
)
def test_an_entry_of_two_forms_is_refused(entries: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="'"):
        AddressMap.parse(entries)


def test_without_entries_everything_is_where_it_says() -> None:
    address = Address(str(ipaddress.ip_address("::1")), 1)

    assert AddressMap().reachable(address) == address
