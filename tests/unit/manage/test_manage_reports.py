"""What nodes say is read as they say it, and put together by who can know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paper_cluster import PaperCluster

from proxy.cluster.addresses import Address
from proxy.errors import BackendProtocolError
from proxy.manage import CannotPlan, ManageError, Move, as_json, load_moves, save_moves
from proxy.manage.create_plan import meeting_place
from proxy.manage.errors import NodeRefused
from proxy.manage.inspect import key_places, node_states, slot_ranges
from proxy.manage.report import parse_report

ADDRESS = Address("10.0.0.1", 7000)
INFO = b"# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.1.2\r\ncluster_enabled:1\r\n"
STATE = b"cluster_state:ok\r\ncluster_my_epoch:3\r\n"
LINE = b"%b %b myself,master - 0 0 3 connected 0-10 12 [5->-%b]\n"
ME, OTHER = b"a" * 40, b"b" * 40


@pytest.mark.parametrize(
    ("endpoint", "host", "bus_port", "hostname"),
    [
        (b"10.0.0.1:7000@17000", "10.0.0.1", 17000, ""),
        (b"10.0.0.1:7000@9000,node-1.example", "10.0.0.1", 9000, "node-1.example"),
        (b"10.0.0.1:7000@17000,,shard-id=abc", "10.0.0.1", 17000, ""),
        (b":7000@17000", "", 17000, ""),
        (b"::1:7000@17000", "::1", 17000, ""),
    ],
)
def test_a_line_of_any_version_is_read(
    endpoint: bytes, host: str, bus_port: int, hostname: str
) -> None:
    report = parse_report(ADDRESS, [LINE % (ME, endpoint, OTHER), STATE, INFO], "10.9.9.9")

    myself = report.myself
    assert (myself.host, myself.port, myself.bus_port) == (host, 7000, bus_port)
    assert myself.hostname == hostname
    assert report.own_slots == (*range(11), 12)
    assert dict(report.topology.migrating) == {5: OTHER.decode()}
    assert (report.engine, report.version, report.is_supported) == ("valkey", "9.1.2", True)
    assert meeting_place(report) == (Address(host or "10.9.9.9", 7000), bus_port)


def test_a_refusal_is_raised_and_a_server_without_cluster_is_told() -> None:
    refusal = NodeRefused(ADDRESS, "CLUSTER NODES", "NOPERM no rights")

    with pytest.raises(NodeRefused, match="NOPERM"):
        parse_report(ADDRESS, [refusal, STATE, INFO])
    alone = parse_report(ADDRESS, [refusal, refusal, b"cluster_enabled:0\r\n"])
    assert alone.not_in_cluster_mode


@pytest.mark.parametrize(
    "nodes",
    [
        LINE % (ME, b"10.0.0.1:7000@17000", OTHER) + OTHER + b" x noaddr - 0 0 1 connected",
        LINE % (ME, b"10.0.0.1:7000@17000", OTHER) + OTHER + b" :99999@0 noaddr - 0 0 1 connected",
        LINE.replace(b"myself,", b"") % (ME, b"10.0.0.1:7000@17000", OTHER),
        b"",
    ],
    ids=["no port", "no possible port", "nothing about itself", "nothing"],
)
def test_what_is_no_map_is_a_protocol_error(nodes: bytes) -> None:
    with pytest.raises(BackendProtocolError, match="CLUSTER NODES of"):
        parse_report(ADDRESS, [nodes, STATE, INFO])


def test_a_number_that_no_server_counts_to_is_none() -> None:
    info = INFO + b"used_memory:%b\r\ndb0:keys=%b,expires=0\r\n" % (b"9" * 5000, b"9" * 5000)

    report = parse_report(ADDRESS, [LINE % (ME, b"10.0.0.1:7000@17000", OTHER), STATE, info])

    assert (report.number("used_memory"), report.keys) == (0, 0)


def test_an_owner_is_believed_about_its_own_slots() -> None:
    """A replica goes on naming an owner that has given the slot away, and looks well informed."""
    cluster = PaperCluster.whole()
    first = cluster.nodes[0]
    stale = list(first.slots)
    first.slots = first.slots[1:]
    for replica in cluster.nodes[3:]:
        replica.believes = {first.id: stale}
    for primary in cluster.nodes[:3]:
        primary.cluster_info["cluster_state"] = "fail"

    assert cluster.view().topology.owner(0) is None
    assert cluster.view(silent=frozenset({0})).topology.owner(0) is not None


def test_of_two_claims_the_newer_wins() -> None:
    cluster = PaperCluster.whole()
    cluster.nodes[2].slots.insert(0, 0)
    cluster.nodes[2].believes = {cluster.nodes[0].id: cluster.nodes[0].slots[1:]}

    owner = cluster.view().topology.owner(0)

    assert owner is not None
    assert owner.id == cluster.nodes[2].id


def test_a_node_is_found_by_address_and_by_a_part_of_its_id() -> None:
    cluster = PaperCluster.whole()
    cluster.nodes[1].id = "f" * 40
    view = cluster.view()

    assert view.find(str(cluster.nodes[2].address)).id == cluster.nodes[2].id
    assert view.find("fff").id == cluster.nodes[1].id
    with pytest.raises(CannotPlan, match="several"):
        view.find("000")
    with pytest.raises(CannotPlan, match="no node"):
        view.find("")


def test_answers_are_json_and_lose_no_byte() -> None:
    view = PaperCluster.whole().view(silent=frozenset({4}))

    states = json.loads(json.dumps(as_json(node_states(view))))
    places = json.loads(json.dumps(as_json(key_places([b"{a}1", b"{a}\xff", b"b"], view))))

    assert [state["role"] for state in states] == ["primary", "replica"] * 3
    assert [state["state"] for state in states].count("silent") == 1
    assert [place["keys"] for place in places] == [["{a}1", "{a}\\xff"], ["b"]]
    assert sum(each.count for each in slot_ranges(view)) == 16384


@given(st.sets(st.integers(0, 16383), max_size=60))
def test_a_saved_plan_is_read_back(tmp_path_factory, slots: set[int]) -> None:
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    moves = (Move("a", "b", tuple(sorted(slots))),)

    save_moves(path, moves)

    assert load_moves(path) == moves


def test_a_file_that_is_no_plan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    moves = '{"moves": [{"source": "a", "target": "b", "slots": null}]}'
    for text in ("", "[]", '{"moves": [{"source": "a"}]}', '{"moves": 5}', moves, "[" * 20_000):
        path.write_text(text)
        with pytest.raises(ManageError, match="no plan of moves"):
            load_moves(path)
    with pytest.raises(ManageError):
        load_moves(tmp_path / "missing")
