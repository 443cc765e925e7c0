"""pottery: Redlock, and containers that work with WATCH, MULTI and Lua on several keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from applications import Serve

pottery = pytest.importorskip("pottery", reason="pottery is not installed")

# Its sets and lists are worked on by SDIFFSTORE and the like, over keys of any slot.
ACROSS = {"commands.cross_slot": "all"}


@pytest.fixture
def client(serve: Serve) -> Iterator[redis.Redis]:
    address = serve(**ACROSS)
    with redis.Redis(address.host, address.port) as connected:
        yield connected


def test_a_redlock_is_held_by_one_extended_and_released(client: redis.Redis) -> None:
    lock = pottery.Redlock(key="printer", masters={client}, auto_release_time=5)
    other = pottery.Redlock(key="printer", masters={client}, auto_release_time=5)

    assert lock.acquire(blocking=False)
    assert not other.acquire(blocking=False)
    assert 0 < lock.locked() <= 5
    lock.extend()
    lock.release()
    assert other.acquire(blocking=False)
    other.release()


def test_containers_behave_as_those_of_python(client: redis.Redis) -> None:
    tel = pottery.RedisDict({"jack": 4098}, redis=client, key="tel")
    tel["guido"] = 4127
    tel.update({"sape": 4139})
    del tel["jack"]
    assert dict(tel) == {"guido": 4127, "sape": 4139}

    squares = pottery.RedisList([1, 4, 9], redis=client, key="squares")
    squares.insert(1, 2)
    squares.remove(9)
    squares.extend([16, 25])
    assert list(squares) == [1, 2, 4, 16, 25]
    squares.sort(reverse=True)
    assert squares.pop() == 1

    letters = pottery.RedisSet("abracadabra", redis=client, key="letters")
    more = pottery.RedisSet("alacazam", redis=client, key="more")
    assert not letters.isdisjoint(more)
    letters.difference_update(more)
    assert set(letters) == {"b", "d", "r"}

    count = pottery.RedisCounter("gallahad", redis=client, key="count")
    count["z"] += 2
    assert (count["l"], count["z"]) == (2, 2)
    queue = pottery.RedisSimpleQueue(redis=client, key="queue")
    queue.put("item")
    assert queue.get(timeout=5) == "item"
    ids = {pottery.NextID(key="ids", masters={client}).__next__() for _ in range(3)}
    assert ids == {1, 2, 3}
