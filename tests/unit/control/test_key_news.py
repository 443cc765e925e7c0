"""Whose turn it is at a key: counts, pushes and clients in a scripted order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from proxy.cluster.addresses import Address
from proxy.control import key_news
from proxy.control.key_news import KeyNews
from proxy.control.key_watch import UNKNOWN, WRONG_TYPE, Watch
from proxy.errors import BackendUnavailable
from proxy.resp.encode import array, bulk, integer

WRONG = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"


@dataclass(eq=False)
class Link:
    """A connection that answers when the test says so."""

    node: int
    on_push: Callable[[bytes], object] | None = None
    on_lost: Callable[[], object] | None = None
    asked: list[tuple[bytes, Callable[[bytes | BackendUnavailable], object]]] = field(
        default_factory=list
    )

    def answer(self, *replies: bytes | BackendUnavailable) -> None:
        """Answer the oldest questions."""
        for reply in replies:
            self.asked.pop(0)[1](reply)

    def push(self, *keys: bytes) -> None:
        """Say that keys have changed; without keys, all of them."""
        names = array([bulk(key) for key in keys]) if keys else b"_\r\n"
        assert self.on_push is not None
        self.on_push(b">2\r\n" + bulk(b"invalidate") + names)


@dataclass
class Cluster:
    """Engine, pools, routes and map in one: slots belong to node 0 until a test says otherwise."""

    owner_node: int = 0
    links: dict[int, Link] = field(default_factory=dict)
    suspicions: int = 0

    def submit(self, link: Link, frame: bytes, on_done: Callable[..., object]) -> object:
        entry = (frame.split(b"\r\n")[-2], on_done)
        link.asked.append(entry)
        return entry

    def abandon(self, token: object) -> None:
        for link in self.links.values():
            link.asked = [entry for entry in link.asked if entry is not token]

    def open_lane(self, key: object) -> Cluster:
        return self

    def pipeline_to(self, node: int) -> Link:
        return self.links.setdefault(node, Link(node))

    def number(self, address: Address) -> int:
        return address.port

    def owner(self, slot: int) -> Cluster:
        return self

    @property
    def address(self) -> Address:
        return Address("node", self.owner_node)

    def suspect(self) -> None:
        self.suspicions += 1


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def news(cluster: Cluster) -> KeyNews:
    return KeyNews(
        engine=cluster,
        pools=cluster,
        routes=cluster,
        find_topology=lambda: cluster,
        suspect=cluster.suspect,
    )


@pytest.fixture
def link(cluster: Cluster) -> Link:
    return cluster.pipeline_to(0)


def called(watch: Watch, keys: int = 1) -> list[int]:
    return [index for index in range(keys) if watch.is_called(index)]


def test_an_element_that_is_there_calls_at_once(news: KeyNews, link: Link) -> None:
    watch = news.watch(0, [b"a", b"b"], b"LLEN")

    link.answer(integer(0), integer(3))

    assert called(watch, 2) == [1]


def test_a_change_is_counted_again_and_calls_the_longest_waiting(news: KeyNews, link: Link) -> None:
    first = news.watch(0, [b"a"], b"LLEN")
    second = news.watch(0, [b"a"], b"LLEN")
    link.answer(integer(0))

    link.push(b"a")
    link.answer(integer(1))

    assert (called(first), called(second)) == ([0], [])


def test_as_many_are_called_as_there_are_elements(news: KeyNews, link: Link) -> None:
    watches = [news.watch(0, [b"a"], b"LLEN") for _ in range(4)]

    link.answer(integer(3))

    assert [called(watch) for watch in watches] == [[0], [0], [0], []]


def test_whoever_leaves_with_an_element_lets_the_next_have_a_turn(
    news: KeyNews, link: Link
) -> None:
    first, second = (news.watch(0, [b"a"], b"LLEN") for _ in range(2))
    link.answer(integer(1))

    first.close()
    link.answer(integer(1))

    assert called(second) == [0]


def test_whoever_found_nothing_keeps_its_place_and_is_called_again(
    news: KeyNews, link: Link
) -> None:
    first, second = (news.watch(0, [b"a"], b"LLEN") for _ in range(2))
    link.answer(integer(1))

    first.done(0)
    link.answer(integer(0))
    link.push(b"a")
    link.answer(integer(1))

    assert (called(first), called(second)) == ([0], [])


def test_a_push_during_a_count_has_it_counted_again(news: KeyNews, link: Link) -> None:
    watch = news.watch(0, [b"a"], b"LLEN")

    link.push(b"a")
    link.answer(integer(0))
    link.answer(integer(1))

    assert called(watch) == [0]


def test_a_newcomer_learns_what_is_known_without_asking(news: KeyNews, link: Link) -> None:
    news.watch(0, [b"a"], b"LLEN")
    link.answer(integer(0))

    newcomer = news.watch(0, [b"a"], b"LLEN")

    assert newcomer.first_unknown() is None
    assert link.asked == []


def test_nobody_is_asked_about_a_key_that_nobody_waits_for(news: KeyNews, link: Link) -> None:
    watch = news.watch(0, [b"a"], b"LLEN")
    link.answer(integer(0))
    watch.close()

    link.push(b"a")

    assert link.asked == []
    assert news.watched == 0


def test_a_flush_has_everything_counted_again(news: KeyNews, link: Link) -> None:
    news.watch(0, [b"a", b"b"], b"LLEN")
    link.answer(integer(0), integer(0))

    link.push()

    assert [name for name, _ in link.asked] == [b"a", b"b"]


def test_a_key_of_another_type_is_known_and_calls_nobody(news: KeyNews, link: Link) -> None:
    watch = news.watch(0, [b"a"], b"LLEN")

    link.answer(WRONG)

    assert watch.count(0) == WRONG_TYPE
    assert called(watch) == []


def test_lists_and_sorted_sets_of_one_name_are_told_apart(news: KeyNews, link: Link) -> None:
    lists, sets = news.watch(0, [b"a"], b"LLEN"), news.watch(0, [b"a"], b"ZCARD")
    link.answer(integer(0), integer(0))

    link.push(b"a")
    link.answer(WRONG, integer(1))

    assert (called(lists), called(sets)) == ([], [0])


async def test_the_new_owner_is_asked_when_the_map_changes(
    news: KeyNews, cluster: Cluster, link: Link
) -> None:
    watch = news.watch(0, [b"a"], b"LLEN")
    link.answer(integer(0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(news.run)

        cluster.owner_node = 1
        news.map_changed()
        await trio.testing.wait_all_tasks_blocked()
        cluster.links[1].answer(integer(1))

        assert link.asked == []
        assert called(watch) == [0]
        nursery.cancel_scope.cancel()


async def test_nobody_waits_twice_for_a_node_that_does_not_answer(
    news: KeyNews, link: Link, autojump_clock: trio.testing.MockClock
) -> None:
    first, second = (news.watch(0, [b"a"], b"LLEN") for _ in range(2))

    began = trio.current_time()
    await first.wait_known(within_s=0.5)
    waited = trio.current_time() - began
    await second.wait_known(within_s=0.5)
    waited_again = trio.current_time() - began - waited
    link.answer(integer(1))

    assert waited == pytest.approx(0.5)
    assert waited_again == pytest.approx(0)
    assert not second.is_silent(0)
    assert called(first) == [0]


async def test_a_node_that_answers_when_nobody_waits_any_more_is_waited_for_again(
    news: KeyNews, link: Link, autojump_clock: trio.testing.MockClock
) -> None:
    watch = news.watch(0, [b"a"], b"LLEN")
    await watch.wait_known(within_s=0.5)
    watch.close()
    was_silent = watch.is_silent(0)

    link.answer(b"+PONG\r\n")

    assert was_silent
    assert not news.watch(0, [b"b"], b"LLEN").is_silent(0)


async def test_a_lost_connection_has_its_keys_asked_for_again(
    news: KeyNews, link: Link, autojump_clock: trio.testing.MockClock
) -> None:
    watch = news.watch(0, [b"a"], b"LLEN")
    link.answer(integer(0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(news.run)
        assert link.on_lost is not None

        link.on_lost()
        unknown = watch.count(0)
        await trio.sleep(key_news.RETRY_S * 1.5)
        link.answer(integer(1))

        assert unknown == UNKNOWN
        assert called(watch) == [0]
        nursery.cancel_scope.cancel()


async def test_a_refusal_is_asked_again_after_a_while(
    news: KeyNews, cluster: Cluster, link: Link, autojump_clock: trio.testing.MockClock
) -> None:
    watch = news.watch(0, [b"a"], b"LLEN")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(news.run)

        link.answer(b"-CLUSTERDOWN Hash slot not served\r\n")
        await trio.sleep(key_news.RETRY_S * 1.5)
        link.answer(integer(1))

        assert cluster.suspicions == 1
        assert called(watch) == [0]
        nursery.cancel_scope.cancel()


async def test_who_waits_hears_of_what_keeps_a_key_from_being_watched(
    news: KeyNews, link: Link
) -> None:
    refusal = b"-NOPERM User default has no permissions to run the 'client|tracking' command\r\n"
    watch = news.watch(0, [b"a", b"b"], b"LLEN")

    link.answer(integer(0), refusal)
    await watch.wait_called()

    assert watch.problem == refusal
    assert watch.first_called() is None


def test_in_an_open_slot_one_may_try_where_it_cannot_be_counted(news: KeyNews, link: Link) -> None:
    first, second = (news.watch(0, [b"a"], b"LLEN") for _ in range(2))

    link.answer(b"-ASK 15495 node:1\r\n")

    assert (called(first), called(second)) == ([0], [])


async def test_every_key_is_counted_now_and_then(
    news: KeyNews, link: Link, autojump_clock: trio.testing.MockClock
) -> None:
    watch = news.watch(0, [b"a"], b"LLEN")
    link.answer(integer(0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(news.run)

        await trio.sleep(key_news.POLL_S * 1.5)
        link.answer(integer(1))

        assert called(watch) == [0]
        nursery.cancel_scope.cancel()


async def test_whoever_waits_wakes_up_with_the_first_of_its_keys(news: KeyNews, link: Link) -> None:
    watch = news.watch(0, [b"a", b"b"], b"LLEN")
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def answer() -> None:
            await trio.testing.wait_all_tasks_blocked()
            link.answer(integer(1), integer(1))

        await watch.wait_called()

    assert watch.first_called() == 0
