"""One line for each change of a node's state."""

from __future__ import annotations

from collections.abc import Callable

from structlog.testing import capture_logs
from trio.testing import MockClock

from proxy.cluster.addresses import Address
from proxy.control.node_log import PROBLEMS_TOLD, NodeLog
from proxy.errors import BackendRefused, BackendUnavailable

A, B = Address("a", 1), Address("b", 2)
REFUSED = BackendUnavailable("connection refused", sent=False)
WRONG = b"WRONGPASS invalid username-password pair"


def lines(happening: Callable[[], object]) -> list[tuple[str, str]]:
    """Return event and node of what is logged meanwhile."""
    with capture_logs() as found:
        happening()
    return [(line["event"], line["node"]) for line in found]


async def test_a_node_is_lost_once_and_back_once(autojump_clock: MockClock) -> None:
    nodes = NodeLog()

    def a_hundred_attempts() -> None:
        for _ in range(100):
            nodes.unreachable(A, REFUSED)

    assert lines(a_hundred_attempts) == [("node unreachable", "a:1")]
    assert nodes.away == (A,)
    assert lines(lambda: nodes.reached(A)) == [("node reachable again", "a:1")]
    assert lines(lambda: nodes.reached(A)) == []
    assert nodes.away == ()


async def test_how_long_it_was_away_is_told(mock_clock: MockClock) -> None:
    nodes = NodeLog()
    nodes.unreachable(A, REFUSED)
    mock_clock.jump(12.34)

    with capture_logs() as found:
        nodes.reached(A)

    assert found[0]["away_s"] == 12.3


async def test_another_reason_is_news_but_only_so_often() -> None:
    nodes = NodeLog()

    def many_reasons() -> None:
        for number in range(100):
            nodes.unreachable(A, BackendUnavailable(f"reason {number % 50}", sent=False))

    assert lines(many_reasons) == [("node unreachable", "a:1")] * PROBLEMS_TOLD


async def test_many_connections_that_break_at_once_are_one_line() -> None:
    nodes = NodeLog()

    def all_break() -> None:
        for _ in range(100):
            nodes.broken(A)
        nodes.broken(B)

    assert lines(all_break) == [("connection lost", "a:1"), ("connection lost", "b:2")]
    nodes.reached(A)
    assert lines(all_break) == [("connection lost", "a:1")]


async def test_a_node_that_has_left_the_cluster_is_not_looked_for() -> None:
    nodes = NodeLog()
    nodes.unreachable(A, REFUSED)
    nodes.unreachable(B, REFUSED)

    left = lines(lambda: nodes.forget_others({B}))

    assert left == [("unreachable node has left the cluster", "a:1")]
    assert nodes.away == (B,)


async def test_what_a_node_said_that_does_not_let_us_in_holds_until_it_does_or_is_silent() -> None:
    nodes = NodeLog()
    heard = [nodes.refusal_of(A)]

    for problem in (BackendRefused("a:1", WRONG), REFUSED, BackendRefused("a:1", WRONG), None):
        if problem is None:
            nodes.reached(A)
        else:
            nodes.unreachable(A, problem)
        heard.append(nodes.refusal_of(A))

    assert heard == [None, WRONG, None, WRONG, None]
