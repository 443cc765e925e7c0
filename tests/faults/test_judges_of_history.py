"""Every judge can fail, and names what is wrong; what a fault explains is no finding."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bad_histories import (
    BAD,
    LOST_REPLY,
    K,
    Story,
    a_connection_that_ended,
    a_message_not_heard,
    appends,
    pushes,
    two_sets,
)
from error_kinds import UNKNOWN, kind_of_error
from history import Closed, History, Loss
from judging.findings import Kind
from judging.verdict import Verdict, judge, longest_wait_s
from workload.values import ALL_SLOTS

from proxy.resp import replies


def kinds(verdict: Verdict) -> list[Kind]:
    return [finding.kind for finding in verdict.findings]


@pytest.mark.parametrize(("tell", "kind"), BAD.items(), ids=[tell.__name__ for tell in BAD])
def test_what_is_wrong_is_found(tell: Callable[[Story], None], kind: Kind) -> None:
    story = Story()

    tell(story)

    assert kinds(story.judged()) == [kind]


def test_every_kind_of_finding_has_a_history_that_shows_it() -> None:
    assert set(BAD.values()) == set(Kind)


def test_a_story_without_faults_has_no_findings() -> None:
    story = Story()

    two_sets(story)
    story("b", "GET", b"a:1", K)
    story("a", "LAST GET", b"a:1", K)

    verdict = story.judged()
    assert verdict.findings == []
    assert verdict.requests == 4


@pytest.mark.parametrize("found", [b"a:0", b"a:1"])
def test_a_write_of_unknown_outcome_may_be_there_or_not(found: bytes) -> None:
    story = Story()

    story.sets("a", 0)
    story.sets("a", 1, LOST_REPLY)
    story("b", "GET", found, K)

    verdict = story.judged()
    assert verdict.findings == []
    assert verdict.errors == {UNKNOWN: 1}


@pytest.mark.parametrize("found", [1, 2])
def test_a_count_of_unknown_outcome_counts_once_at_the_most(found: int) -> None:
    story = Story()

    story("a", "INCR", Closed.CLOSED, K)
    story("a", "INCR", found, K)

    assert story.judged().findings == []


def a_lost_set(story: Story, *, confirmed: bool) -> None:
    two_sets(story)
    story.log("a").records[1].is_confirmed = confirmed
    story("a", "LAST GET", b"a:0", K)


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_crash_explains_a_loss_unless_a_replica_was_counted(*, confirmed: bool) -> None:
    story = Story()
    a_lost_set(story, confirmed=confirmed)
    loss = Loss(ALL_SLOTS, from_s=2.0, until_s=3.0)

    verdict = judge(History([*story.logs.values()], (loss,)))

    assert kinds(verdict) == ([Kind.LOST] if confirmed else [])


@pytest.mark.parametrize(("from_s", "until_s"), [(0.0, 1.0), (2.6, 3.0)])
def test_a_crash_explains_no_loss_of_another_time(from_s: float, until_s: float) -> None:
    story = Story()
    a_lost_set(story, confirmed=False)
    loss = Loss(ALL_SLOTS, from_s, until_s)

    assert kinds(judge(History([*story.logs.values()], (loss,)))) == [Kind.LOST]


def test_a_crash_explains_no_loss_in_another_shard() -> None:
    story = Story()
    a_lost_set(story, confirmed=False)
    loss = Loss(frozenset({1}), from_s=0.0, until_s=9.0)

    assert kinds(judge(History([*story.logs.values()], (loss,)))) == [Kind.LOST]


def test_explained_losses_are_counted() -> None:
    story = Story()
    appends(story, b"", b"")
    story("a", "LAST GET", b"00000000", K)
    loss = Loss(ALL_SLOTS, from_s=2.0, until_s=3.0)

    verdict = judge(History([*story.logs.values()], (loss,)))

    assert verdict.findings == []
    assert verdict.explained == 1


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_pop_that_was_at_a_lost_server_may_have_taken_one_item(*, is_cut: bool) -> None:
    story = Story()
    pushes(story, 1, 2)
    story("b", "BLPOP", None, K, at=(1.0, 5.0))
    story("b", "LAST LRANGE", [b"a:1"], K)
    cuts = ((2.0, 2.1),) if is_cut else ()

    verdict = judge(History([*story.logs.values()], cuts=cuts))

    assert kinds(verdict) == ([] if is_cut else [Kind.LOST])


def test_messages_may_be_missed_only_while_the_fault_is_there() -> None:
    story = Story()
    a_message_not_heard(story)

    during = judge(History([*story.logs.values()], disturbed=(3.0, 3.2)))
    before = judge(History([*story.logs.values()], disturbed=(5.0, 6.0)))

    assert kinds(during) == []
    assert kinds(before) == [Kind.LOST]


def test_connections_may_end_where_the_fault_allows_it() -> None:
    story = Story()
    a_connection_that_ended(story)

    verdict = judge(History([*story.logs.values()]), may_close=True)

    assert verdict.findings == []


def test_the_longest_wait_is_that_of_requests_open_in_the_span() -> None:
    story = Story()
    story("a", "GET", None, K, at=(0.0, 5.0))
    story("a", "GET", None, K, at=(6.0, 8.0))
    story("a", "BLPOP", None, K, at=(6.0, 20.0))

    assert longest_wait_s(story.log("a"), 5.5, 7.0) == 2.0


def test_errors_are_told_apart_by_what_the_proxy_documents() -> None:
    texts = {
        "IOERR outcome unknown": replies.no_reply_to_write("[::1]:7001", 0.5),
        "IOERR read lost": replies.lost_read("10.0.0.1:6379"),
        "CLUSTERDOWN not sent": replies.never_sent(None, 20.0),
        "parts failed: OOM": replies.parts_failed(
            b"mset", failed=1, parts=3, first_error=b"-OOM no\r\n", is_write=True
        ),
        "LOADING": b"-LOADING Redis is loading the dataset in memory\r\n",
    }

    assert [kind_of_error(frame[1:-2].decode()) for frame in texts.values()] == [*texts]
