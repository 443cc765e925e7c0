"""Slots and roles are dealt out evenly, and replicas away from their primaries."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxy.manage.dealing import deal_replicas, misplaced, take_turns


def test_nodes_are_taken_from_the_hosts_in_turn() -> None:
    hosts = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "c1": "c"}

    assert take_turns(list(hosts), hosts) == ["a1", "b1", "c1", "a2", "b2"]


def deal(hosts: list[int], replicas: int) -> tuple[dict[int, int], dict[int, str], int]:
    host_of = {node: f"h{host}" for node, host in enumerate(hosts)}
    turns = take_turns(list(host_of), host_of)
    count = len(hosts) // (replicas + 1)
    return deal_replicas(turns[:count], turns[count:], host_of), host_of, count


@given(st.integers(2, 6), st.integers(1, 4), st.integers(1, 2))
def test_no_replica_is_on_its_primarys_host_when_all_hosts_are_equal(
    hosts: int, rounds: int, replicas: int
) -> None:
    names = [host for host in range(hosts) for _ in range(rounds * (replicas + 1))]

    dealt, host_of, _ = deal(names, replicas)

    assert misplaced(dealt, host_of) == []


@given(st.lists(st.integers(0, 4), min_size=4, max_size=24), st.integers(1, 3))
def test_every_primary_gets_as_many_replicas_as_the_others(hosts: list[int], replicas: int) -> None:
    dealt, _, count = deal(hosts, replicas)

    shares = Counter(dealt.values())
    assert sum(shares.values()) == len(hosts) - count
    if count:
        assert max(shares.values()) - min(shares.get(node, 0) for node in shares) <= 1
        assert len(shares) == count


def test_the_same_nodes_are_always_dealt_the_same_way() -> None:
    hosts = [0, 0, 1, 1, 2, 2, 0, 1, 2]

    assert deal(hosts, 2) == deal(hosts, 2)
