"""Maps of real clusters: CLUSTER NODES and CLUSTER SLOTS as servers of several versions send them.

The texts were read from Redis 7.0.15 and Valkey 9.1.2, unless a name says otherwise.
"""

from __future__ import annotations

import pytest

from proxy.cluster.slots import SLOT_COUNT
from proxy.cluster.topology import (
    Address,
    parse_cluster_nodes,
    parse_cluster_state,
    parse_preferred_endpoints,
)
from proxy.errors import BackendProtocolError
from proxy.resp.decode import decode

ASKED = Address("127.0.0.1", 49307)
ONE = "bb49da007e324d704f952b5bdf236578def094e5"
TWO = "eb6a3e441c7e23b5077a21e690a4891c97445538"
THREE = "955a688ef8513d72bfb60a2d81f60e91de34f5f1"
REPLICA = "d116465e2756f7cbf53e4417a3d556f147cc2996"

MIGRATING = b"""\
955a688ef8513d72bfb60a2d81f60e91de34f5f1 127.0.0.1:41465@51465 master - 0 1795388559709 2 \
connected 10922-16382
d116465e2756f7cbf53e4417a3d556f147cc2996 127.0.0.1:40521@50521 slave \
bb49da007e324d704f952b5bdf236578def094e5 0 1795388560000 1 connected
eb6a3e441c7e23b5077a21e690a4891c97445538 127.0.0.1:32913@42913,two.example master - 0 \
1795388560011 0 connected 5461-10921
bb49da007e324d704f952b5bdf236578def094e5 127.0.0.1:49307@59307 myself,master - 0 1795388559000 1 \
connected 0-5460 [93->-eb6a3e441c7e23b5077a21e690a4891c97445538]
"""

FAILED_OVER = b"""\
955a688ef8513d72bfb60a2d81f60e91de34f5f1 127.0.0.1:41465@51465 master - 0 1795388569763 2 \
connected 10922-16383
d116465e2756f7cbf53e4417a3d556f147cc2996 127.0.0.1:40521@50521 master - 0 1795388570065 4 \
connected 0-92 94-5460
bb49da007e324d704f952b5bdf236578def094e5 127.0.0.1:49307@59307 master,fail - 1795388565736 \
1795388564731 1 disconnected
eb6a3e441c7e23b5077a21e690a4891c97445538 127.0.0.1:32913@42913,two.example myself,master - 0 \
1795388569000 0 connected 93 5461-10921 [93-<-bb49da007e324d704f952b5bdf236578def094e5]
"""


def test_a_map_has_the_nodes_and_the_owner_of_every_slot() -> None:
    topology = parse_cluster_nodes(MIGRATING, ASKED)

    assert [node.id for node in topology.nodes] == [THREE, REPLICA, TWO, ONE]
    assert [node.id for node in topology.primaries] == [THREE, TWO, ONE]
    assert [(first, last, node.id) for first, last, node in topology.ranges()] == [
        (0, 5460, ONE),
        (5461, 10921, TWO),
        (10922, 16382, THREE),
    ]
    assert topology.owner(16383) is None
    assert topology.covered_slots == SLOT_COUNT - 1
    assert topology.config_epoch == 2
    assert topology.asked_id == ONE


def test_a_node_has_its_role_address_and_epoch() -> None:
    topology = parse_cluster_nodes(MIGRATING, ASKED)
    primary, replica = topology.node_by_id(TWO), topology.node_by_id(REPLICA)

    assert primary is not None
    assert replica is not None
    assert (primary.is_primary, primary.primary_id) == (True, None)
    assert primary.address == Address("127.0.0.1", 32913)
    assert (replica.is_primary, replica.primary_id, replica.config_epoch) == (False, ONE, 1)
    assert topology.replicas_of(ONE) == (replica,)
    assert topology.replicas_of(TWO) == ()


def test_an_open_slot_is_kept_and_still_belongs_to_its_owner() -> None:
    source = parse_cluster_nodes(MIGRATING, ASKED)
    target = parse_cluster_nodes(FAILED_OVER, Address("127.0.0.1", 32913))

    assert (source.migrating, source.importing) == ({93: TWO}, {})
    assert (target.migrating, target.importing) == ({}, {93: ONE})
    owner = source.owner(93)
    assert owner is not None
    assert owner.id == ONE


def test_a_dead_primary_that_was_replaced_is_no_shard_any_more() -> None:
    topology = parse_cluster_nodes(FAILED_OVER, ASKED)
    dead = topology.node_by_id(ONE)

    assert dead is not None
    assert (dead.is_primary, dead.failed, dead.link_up) == (True, True, False)
    assert dead not in topology.primaries
    assert dead not in topology.empty_primaries
    assert topology.config_epoch == 4


def line(
    *,
    node_id: str = ONE,
    endpoint: str = "127.0.0.1:7000@17000",
    flags: str = "master",
    primary: str = "-",
    epoch: str = "1",
    link: str = "connected",
    slots: str = "",
) -> bytes:
    return f"{node_id} {endpoint} {flags} {primary} 0 0 {epoch} {link} {slots}\n".encode()


ENDPOINTS = {
    "redis 6.2": ("10.0.0.5:7000@17000", Address("10.0.0.5", 7000)),
    "redis 3.2, no bus port": ("10.0.0.5:7000", Address("10.0.0.5", 7000)),
    "host name": ("10.0.0.5:7000@17000,one.example", Address("10.0.0.5", 7000)),
    "empty host name": ("10.0.0.5:7000@17000,", Address("10.0.0.5", 7000)),
    "nodes.conf of redis 7.2": (
        "10.0.0.5:7000@17000,,tls-port=0,shard-id=69bc080733d1355567173199cff4a6a039a2f024",
        Address("10.0.0.5", 7000),
    ),
    "IPv6": ("2001:db8::5:7000@17000", Address("2001:db8::5", 7000)),
    "IPv6 in brackets": ("[2001:db8::5]:7000@17000", Address("2001:db8::5", 7000)),
}


@pytest.mark.parametrize(("endpoint", "address"), ENDPOINTS.values(), ids=ENDPOINTS.keys())
def test_an_endpoint_is_read_in_the_form_of_every_version(endpoint: str, address: Address) -> None:
    (node,) = parse_cluster_nodes(line(endpoint=endpoint), ASKED).nodes

    assert node.address == address


def test_a_node_that_nobody_has_met_is_where_it_was_asked() -> None:
    alone = (
        b"bb49da007e324d704f952b5bdf236578def094e5 :49307@59307 myself,master - 0 0 0 connected\n"
    )

    topology = parse_cluster_nodes(alone, Address("10.0.0.5", 7000))

    assert topology.nodes[0].address == Address("10.0.0.5", 49307)
    assert topology.primaries == ()
    assert topology.empty_primaries == topology.nodes
    assert (topology.covered_slots, topology.config_epoch) == (0, -1)


@pytest.mark.parametrize(
    ("endpoint", "flags"),
    [
        (":0@0", "slave,fail,noaddr"),
        (":0@0", "master,noaddr"),
        ("10.0.0.5:7000@17000", "handshake"),
        (":7000@17000", "master"),
    ],
)
def test_a_node_that_cannot_be_reached_is_left_out(endpoint: str, flags: str) -> None:
    topology = parse_cluster_nodes(line(endpoint=endpoint, flags=flags, slots="0-5"), ASKED)

    assert topology.nodes == ()
    assert topology.covered_slots == 0


@pytest.mark.parametrize(
    ("flags", "link", "failed", "link_up"),
    [
        ("master", "connected", False, True),
        ("master,nofailover", "connected", False, True),
        ("master,fail?", "connected", False, False),
        ("slave,fail", "disconnected", True, False),
        ("master", "disconnected", False, False),
    ],
)
def test_only_what_the_cluster_agreed_on_counts_as_failed(
    flags: str, link: str, failed: bool, link_up: bool
) -> None:
    (node,) = parse_cluster_nodes(line(flags=flags, link=link), ASKED).nodes

    assert (node.failed, node.link_up) == (failed, link_up)


@pytest.mark.parametrize(
    "text",
    [
        b"ERR nonsense\n",
        line(slots="16384"),
        line(slots="5-x"),
        line(slots="[x->-id]", flags="myself,master"),
        line(epoch="x"),
        line(endpoint="nowhere"),
        line(endpoint="10.0.0.5:99999@1"),
    ],
)
def test_a_line_of_another_form_is_the_servers_fault(text: bytes) -> None:
    with pytest.raises(BackendProtocolError, match=r"CLUSTER NODES of 127\.0\.0\.1:49307"):
        parse_cluster_nodes(text, ASKED)


@pytest.mark.parametrize(
    ("info", "serves"),
    [
        (b"cluster_state:ok\r\ncluster_slots_assigned:16384\r\n", True),
        (b"cluster_state:fail\r\ncluster_slots_assigned:16383\r\n", False),
        (b"", False),
    ],
)
def test_a_node_says_whether_it_serves(info: bytes, serves: bool) -> None:
    assert parse_cluster_state(info) is serves


def slots_reply(endpoint: bytes) -> object:
    return decode(
        b"*2\r\n"
        b"*4\r\n:0\r\n:5460\r\n*4\r\n" + endpoint + b":49307\r\n$40\r\n" + ONE.encode() + b"\r\n"
        b"*2\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n"
        b"*4\r\n" + endpoint + b":40521\r\n$40\r\n" + REPLICA.encode() + b"\r\n"
        b"*2\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n"
        b"*3\r\n:5461\r\n:10921\r\n*3\r\n$11\r\ntwo.example\r\n:32913\r\n"
        b"$40\r\n" + TWO.encode() + b"\r\n"
    )


TWO_AT = Address("two.example", 32913)

PREFERRED = {
    "an IP": (
        b"$8\r\n10.0.0.5\r\n",
        {ONE: Address("10.0.0.5", 49307), REPLICA: Address("10.0.0.5", 40521), TWO: TWO_AT},
    ),
    "unknown: the host asked": (
        b"$-1\r\n",
        {ONE: Address("asked", 49307), REPLICA: Address("asked", 40521), TWO: TWO_AT},
    ),
    "empty: the host asked": (
        b"$0\r\n\r\n",
        {ONE: Address("asked", 49307), REPLICA: Address("asked", 40521), TWO: TWO_AT},
    ),
    "no host name, where names are preferred": (b"$1\r\n?\r\n", {TWO: TWO_AT}),
    "IPv6": (
        b"$3\r\n::1\r\n",
        {ONE: Address("::1", 49307), REPLICA: Address("::1", 40521), TWO: TWO_AT},
    ),
}


@pytest.mark.parametrize(("endpoint", "found"), PREFERRED.values(), ids=PREFERRED.keys())
def test_each_node_has_the_endpoint_that_it_prefers(
    endpoint: bytes, found: dict[str, Address]
) -> None:
    assert parse_preferred_endpoints(slots_reply(endpoint), Address("asked", 7000)) == found


@pytest.mark.parametrize(
    "reply",
    [
        b"OK",
        None,
        [[0]],
        [[0, 1, [b"h", 7000]]],
        [[0, 1, [b"h", b"7000", b"id"]]],
        [[0, 1, [b"h", 0, b"id"]]],
        [[0, 1, [5, 7000, b"id"]]],
        [[0, 1, b"h"]],
    ],
)
def test_slots_of_another_form_are_the_servers_fault(reply: object) -> None:
    with pytest.raises(BackendProtocolError, match="CLUSTER SLOTS"):
        parse_preferred_endpoints(reply, ASKED)
