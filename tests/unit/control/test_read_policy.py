"""Who answers reads: the choice, and how far behind a replica is."""

from __future__ import annotations

import pytest

from proxy.cluster.addresses import Address
from proxy.cluster.redirects import ClusterDown, Loading, MasterDown, Moved
from proxy.control.read_policy import Candidate, Offsets, Readers, ReadersOf, ReadFrom, choose
from proxy.control.replication import Replication, parse_replication, parse_zone
from proxy.control.retry import judge_reader

PRIMARY = Candidate(0, "a", 0.001)
NEAR = Candidate(1, "b", 0.0002)
FAR = Candidate(2, "c", 0.020)


@pytest.mark.parametrize(
    ("policy", "primary", "replicas", "readers"),
    [
        (ReadFrom.PRIMARY, PRIMARY, [NEAR], None),
        (ReadFrom.PREFER_REPLICA, PRIMARY, [NEAR, FAR], Readers(False, (1, 2))),
        (ReadFrom.PREFER_REPLICA, PRIMARY, [], None),
        (ReadFrom.PREFER_REPLICA, None, [FAR], Readers(True, (2,))),
        (ReadFrom.REPLICA, PRIMARY, [NEAR], Readers(True, (1,))),
        (ReadFrom.REPLICA, PRIMARY, [], Readers(True, ())),
        (ReadFrom.NEAREST, PRIMARY, [NEAR, FAR], Readers(False, (1,))),
        (ReadFrom.NEAREST, PRIMARY, [FAR], Readers(False, (0,))),
        (ReadFrom.NEAREST, None, [FAR], Readers(True, (2,))),
        (ReadFrom.NEAREST, None, [], None),
    ],
)
def test_each_policy_has_its_readers(
    policy: ReadFrom,
    primary: Candidate | None,
    replicas: list[Candidate],
    readers: Readers | None,
) -> None:
    assert choose(policy, primary, replicas) == readers


def test_the_own_zone_beats_the_fastest() -> None:
    found = choose(ReadFrom.NEAREST, PRIMARY, [NEAR, FAR], zone="c")

    assert found == Readers(False, (2,))


def test_in_a_zone_without_a_node_the_fastest_is_the_nearest() -> None:
    assert choose(ReadFrom.NEAREST, PRIMARY, [NEAR], zone="z") == Readers(False, (1,))


@pytest.mark.parametrize(
    ("favourite_s", "other_s", "nearest"),
    [(0.0020, 0.0019, 1), (0.0020, 0.0010, 2), (0.0002, 0.00012, 1)],
    ids=["a little faster", "clearly faster", "much faster, of next to nothing"],
)
def test_a_favourite_stays_until_another_is_clearly_faster(
    favourite_s: float, other_s: float, nearest: int
) -> None:
    replicas = [Candidate(1, None, favourite_s), Candidate(2, None, other_s)]

    found = choose(ReadFrom.NEAREST, None, replicas, favourite=1)

    assert found is not None
    assert found.nodes == (nearest,)


def test_a_replica_is_as_old_as_the_moment_its_primary_was_seen_there() -> None:
    offsets = Offsets()
    for now, written in [(10.0, 100), (11.0, 200), (12.0, 300)]:
        offsets.note(now, written)

    assert offsets.lag_s(13.0, 300) == 0.0
    assert offsets.lag_s(13.0, 350) == 0.0
    assert offsets.lag_s(13.0, 250) == 2.0
    assert offsets.lag_s(13.0, 50) == 3.0


def test_an_idle_primary_makes_nobody_late() -> None:
    offsets = Offsets()
    for now in range(100):
        offsets.note(float(now), 7)

    assert offsets.lag_s(100.0, 7) == 0.0


def test_another_history_begins_anew_and_without_any_nobody_can_tell() -> None:
    offsets = Offsets()
    assert offsets.lag_s(1.0, 5) is None
    offsets.note(1.0, 500)
    offsets.note(2.0, 10)

    assert offsets.lag_s(3.0, 5) == 1.0


def test_users_may_have_policies_of_their_own() -> None:
    readers = ReadersOf(ReadFrom.PRIMARY, {b"reports": ReadFrom.REPLICA})

    assert readers.of(b"default") is ReadFrom.PRIMARY
    assert readers.of(b"reports") is ReadFrom.REPLICA
    assert readers.policies == {ReadFrom.PRIMARY, ReadFrom.REPLICA}


REPLICA = (
    b"role:slave\r\nmaster_link_status:%b\r\nmaster_sync_in_progress:%b\r\nslave_repl_offset:9"
)
HEARD = b"role:slave\r\nslave_repl_offset:9\r\nmaster_last_io_seconds_ago:%b%b"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"role:master\r\nmaster_repl_offset:12", Replication(False, True, 12)),
        (REPLICA % (b"up", b"0"), Replication(True, True, 9)),
        (REPLICA % (b"down", b"0"), Replication(True, False, 9)),
        (REPLICA % (b"up", b"1"), Replication(True, False, 9)),
        (HEARD % (b"4", b""), Replication(True, False, 9, 4)),
        (HEARD % (b"-1", b"\r\nmaster_link_down_since_seconds:7"), Replication(True, False, 9, 7)),
        (HEARD % (b"-1", b"\r\nmaster_link_down_since_seconds:-1"), Replication(True, False, 9)),
        (b"role:slave\r\nslave_repl_offset:x", None),
        (b"", None),
        (None, None),
    ],
)
def test_what_a_node_says_of_its_replication_is_read(
    text: bytes | None, said: Replication | None
) -> None:
    answer = None if text is None else b"# Replication\r\n" + text

    assert parse_replication(answer) == said


def test_a_zone_is_read_where_there_is_one() -> None:
    assert parse_zone(b"# Server\r\navailability_zone:eu-1a\r\n") == "eu-1a"
    assert parse_zone(b"# Server\r\navailability_zone:\r\n") is None
    assert parse_zone(7) is None


def test_a_refused_read_is_asked_elsewhere_at_once_and_then_with_pauses() -> None:
    assert judge_reader(ClusterDown(), attempts=0).wait_s == 0
    assert judge_reader(ClusterDown(), attempts=1).wait_s > 0


@pytest.mark.parametrize(
    ("refusal", "is_unfit", "refresh"),
    [
        (MasterDown(), True, False),
        (Loading(), True, False),
        (Moved(1, Address("a", 1)), False, True),
        (ClusterDown(), False, False),
        (None, False, False),
    ],
)
def test_what_a_replica_says_tells_whether_it_is_of_use(
    refusal: object, is_unfit: bool, refresh: bool
) -> None:
    verdict = judge_reader(refusal, attempts=0)

    assert (verdict.is_unfit, verdict.refresh) == (is_unfit, refresh)
