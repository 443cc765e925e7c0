"""Who listens to what, and where it has to be subscribed: dialogues without any node."""

from __future__ import annotations

import pytest

from proxy.cluster.slots import key_slot
from proxy.control.connection import Credentials
from proxy.control.overlap import Overlap
from proxy.control.subscriptions import Book, Kind, Topic, brings_events, places

CHANNEL, PATTERN, SHARD = Kind.CHANNEL, Kind.PATTERN, Kind.SHARD


def topic(name: bytes = b"news", kind: Kind = CHANNEL) -> Topic[str, str]:
    return Topic(None, kind, name)


def live_topic(name: bytes = b"news", kind: Kind = CHANNEL, at: str = "a") -> Topic[str, str]:
    made = topic(name, kind)
    made.aim({at}, at)
    made.confirm(at)
    return made


# ---- where ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (CHANNEL, b"news", False),
        (CHANNEL, b"__keyspace@0__:key", True),
        (CHANNEL, b"__keyevent@15__:set", True),
        (CHANNEL, b"__keyspac", False),
        (PATTERN, b"news.*", False),
        (PATTERN, b"*", True),
        (PATTERN, b"__key*__:*", True),
        (PATTERN, b"__keyspace@0__:*", True),
        (PATTERN, b"__keyevent@*", True),
        (PATTERN, b"[_a]_key??????0__:x", True),
        (PATTERN, b"?", False),
        (PATTERN, b"__key*s", True),
        (PATTERN, b"_[^_]*", False),
        (PATTERN, b"", False),
        (SHARD, b"__keyspace@0__:key", False),
    ],
)
def test_what_may_bring_keyspace_events_is_known(kind: Kind, name: bytes, expected: bool) -> None:
    assert brings_events(kind, name) is expected


def owner(slot: int) -> str | None:
    return "abc"[slot % 3] if slot != key_slot(b"nobody's") else None


@pytest.mark.parametrize("kind", list(Kind))
def test_what_the_bus_brings_is_subscribed_at_its_slots_primary(kind: Kind) -> None:
    slot = key_slot(b"news")

    targets, home = places(kind, b"news", slot, primaries="abc", owner=owner)

    assert targets == {owner(slot)}
    assert home == owner(slot)


def test_keyspace_events_are_subscribed_at_all_primaries() -> None:
    slot = key_slot(b"__key*")

    targets, home = places(PATTERN, b"__key*", slot, primaries="abc", owner=owner)

    assert targets == {"a", "b", "c"}
    assert home == owner(slot)


def test_a_slot_without_owner_has_no_place() -> None:
    slot = key_slot(b"nobody's")

    assert places(CHANNEL, b"nobody's", slot, primaries="abc", owner=owner) == (set(), None)


# ---- a topic's life -----------------------------------------------------------------------


def test_a_topic_is_live_when_its_node_has_confirmed_it() -> None:
    one = topic()

    missing, left = one.aim({"a"}, "a")

    assert (missing, left) == ({"a"}, set())
    assert not one.is_live
    assert one.confirm("a") == set()
    assert one.is_live


def test_a_topic_at_all_primaries_is_live_when_the_last_has_confirmed_it() -> None:
    one = topic(b"__key*", PATTERN)
    one.aim({"a", "b"}, "a")

    one.confirm("a")

    assert not one.is_live
    one.confirm("b")
    assert one.is_live


def test_a_topic_that_moves_stays_where_it_was_until_it_is_live_elsewhere() -> None:
    one = live_topic(at="a")

    assert one.aim({"b"}, "b") == ({"b"}, set())
    assert one.is_due("a", b"news", b"1")
    assert one.confirm("b") == {"a"}
    assert one.is_live


def test_each_message_passes_once_while_a_topic_moves() -> None:
    one = live_topic(at="a")
    one.aim({"b"}, "b")

    passed = [one.is_due("a", b"news", frame) for frame in (b"1", b"2", b"2")]
    one.confirm("b")
    passed += [one.is_due("b", b"news", frame) for frame in (b"2", b"2", b"3")]
    passed += [one.is_due("a", b"news", frame) for frame in (b"3", b"4")]
    one.gone("a")
    passed += [one.is_due("b", b"news", frame) for frame in (b"3", b"3")]

    assert passed == [True, True, True, False, False, True, False, True, True, True]


def test_what_came_before_a_topic_moved_is_not_delivered_when_the_new_node_brings_it_late() -> None:
    one = live_topic(at="a")
    passed = [one.is_due("a", b"news", frame) for frame in (b"1", b"same")]
    one.aim({"b"}, "b")
    one.confirm("b")

    late = [one.is_due("b", b"news", frame) for frame in (b"1", b"same")]
    again = [one.is_due("a", b"news", b"same"), one.is_due("b", b"news", b"same")]

    assert passed == [True, True]
    assert late == [False, False]
    assert again == [True, False]


def test_what_arrives_from_where_a_topic_has_left_is_not_delivered() -> None:
    one = live_topic(at="a")
    one.aim({"b"}, "b")
    one.confirm("b")
    one.gone("a")

    assert not one.is_due("a", b"news", b"late")


def test_a_topic_that_moves_back_at_once_is_subscribed_anew_behind_its_end() -> None:
    one = live_topic(at="a")
    one.aim({"b"}, "b")
    one.confirm("b")

    assert one.aim({"a"}, "a") == ({"a"}, set())
    one.gone("a")
    assert one.confirm("a") == {"b"}
    assert one.is_live


def test_a_topic_that_is_asked_for_is_not_asked_for_twice() -> None:
    one = topic()
    one.aim({"a"}, "a")

    assert one.aim({"a"}, "a") == (set(), set())


def test_a_confirmation_from_where_a_topic_no_longer_belongs_ends_there() -> None:
    one = live_topic(at="a")
    one.aim({"b"}, "b")
    one.aim({"a"}, "a")

    assert one.confirm("b") == {"b"}


def test_a_lost_topic_is_not_live_and_may_be_asked_for_at_the_same_node() -> None:
    one = live_topic(at="a")

    one.lose("a")

    assert not one.is_live
    assert one.home is None
    assert one.aim({"a"}, "a") == ({"a"}, set())


def test_an_event_passes_from_every_primary_and_anything_else_from_the_home_only() -> None:
    one = topic(b"*", PATTERN)
    one.aim({"a", "b"}, "a")
    one.confirm("a")
    one.confirm("b")

    assert [one.is_due(node, b"__keyevent@0__:set", b"1") for node in "abc"] == [True, True, False]
    assert [one.is_due(node, b"news", b"1") for node in "abc"] == [True, False, False]


def test_an_overlap_forgets_nothing_but_stops_to_learn_at_its_limit() -> None:
    overlap: Overlap[str] = Overlap(limit=1)

    assert overlap.is_new("a", b"1")
    assert overlap.is_new("a", b"2")
    assert overlap.is_new("b", b"2")
    assert not overlap.is_new("b", b"1")


# ---- the book -------------------------------------------------------------------------------


@pytest.fixture
def book() -> Book[str, str]:
    return Book()


def listen(book: Book[str, str], client: str, kind: Kind, *names: bytes) -> None:
    for name in names:
        book.join(client, book.topic(None, kind, name))


def test_a_message_is_counted_for_the_channel_and_for_each_pattern(book: Book[str, str]) -> None:
    listen(book, "one", CHANNEL, b"news", b"news")
    listen(book, "one", PATTERN, b"n*", b"*s", b"x*")
    listen(book, "two", PATTERN, b"n*")
    listen(book, "two", SHARD, b"news")

    assert book.receivers(CHANNEL, b"news") == 4
    assert book.receivers(SHARD, b"news") == 1
    assert book.receivers(CHANNEL, b"other") == 0
    assert book.counts_of("one") == (1, 3, 0)
    assert book.counts_of("two") == (0, 1, 1)


def test_a_star_alone_does_not_match_the_empty_channel(book: Book[str, str]) -> None:
    listen(book, "one", PATTERN, b"*")

    assert book.receivers(CHANNEL, b"") == 0
    assert book.receivers(CHANNEL, b"\xff") == 1


def test_names_come_in_the_order_they_were_asked_for(book: Book[str, str]) -> None:
    listen(book, "one", CHANNEL, b"c", b"a", b"b")

    book.part("one", CHANNEL, b"a")

    assert book.names_of("one", CHANNEL) == [b"c", b"b"]


def test_two_accounts_have_topics_of_their_own_and_are_counted_together(
    book: Book[str, str],
) -> None:
    listen(book, "one", CHANNEL, b"news")
    book.join("two", book.topic(Credentials.of("bob", "secret"), CHANNEL, b"news"))

    assert len(book) == 2
    assert book.listeners(CHANNEL, b"news") == 2
    assert book.names(CHANNEL) == [b"news"]


def test_info_counts_what_clients_listen_to(book: Book[str, str]) -> None:
    listen(book, "one", CHANNEL, b"news", b"sport")
    listen(book, "two", CHANNEL, b"news")
    listen(book, "two", SHARD, b"news")

    assert book.info() == {
        b"pubsub_channels": b"2",
        b"pubsub_patterns": b"0",
        b"pubsubshard_channels": b"1",
        b"pubsub_clients": b"2",
    }


def test_a_book_whose_clients_have_left_holds_nothing(book: Book[str, str]) -> None:
    listen(book, "one", CHANNEL, b"news")
    listen(book, "one", PATTERN, b"n*")
    listen(book, "two", PATTERN, b"n*")

    for client in ("one", "two"):
        for kind in Kind:
            for name in book.names_of(client, kind):
                left = book.part(client, kind, name)
                assert left is not None
                if not left.is_needed:
                    book.drop(left)

    assert vars(book) == {name: {} for name in vars(book)}
    assert book.part("one", CHANNEL, b"news") is None


def test_what_only_the_old_node_has_brought_in_the_end_is_dropped_when_the_new_one_does() -> None:
    one = live_topic(at="a")
    one.aim({"b"}, "b")

    before = [one.is_due("a", b"news", b"same")]
    one.confirm("b")
    between = [one.is_due("a", b"news", frame) for frame in (b"same", b"1")]
    one.gone("a")
    after = [one.is_due("b", b"news", frame) for frame in (b"same", b"1", b"same", b"1")]

    assert before == [True]
    assert between == [True, True]
    assert after == [False, False, True, True]


def test_an_overlap_ends_by_itself_and_then_everything_is_new() -> None:
    one = live_topic(at="a")
    one.aim({"b"}, "b")
    one.confirm("b")
    one.is_due("a", b"news", b"1")
    one.gone("a")

    one.end_overlap()

    assert one.overlap is None
    assert one.is_due("b", b"news", b"1")
