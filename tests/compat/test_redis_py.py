"""redis-py: pipelines, optimistic locking, locks, pub/sub, scripts, blocking; RESP2 and RESP3."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import redis
from applications import SPLIT, Serve
from redis.backoff import NoBackoff
from redis.retry import Retry


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(request: pytest.FixtureRequest, serve: Serve) -> Iterator[redis.Redis]:
    address = serve(**SPLIT)
    with redis.Redis(
        address.host, address.port, protocol=request.param, decode_responses=True
    ) as connected:
        yield connected


def test_a_pipeline_as_it_is_by_default_over_keys_of_any_slot(client: redis.Redis) -> None:
    with client.pipeline() as pipe:
        for number in range(100):
            pipe.set(f"key:{number}", number)
        pipe.incr("counter").lpush("list", "a", "b").hset("hash", mapping={"f": "v"})
        answers = pipe.execute()

    assert answers == [True] * 100 + [1, 2, 1]
    assert client.mget([f"key:{number}" for number in range(100)]) == [str(n) for n in range(100)]


def test_a_pipeline_without_transaction_tells_which_command_failed(client: redis.Redis) -> None:
    client.set("text", "no number")

    answers = (
        client.pipeline(transaction=False)
        .incr("text")
        .set("b", 1)
        .get("b")
        .execute(raise_on_error=False)
    )

    assert isinstance(answers[0], redis.ResponseError)
    assert answers[1:] == [True, "1"]


def test_a_watched_key_that_changes_makes_the_transaction_try_again(client: redis.Redis) -> None:
    client.set("stock", 10)
    tries = []

    def take(pipe: redis.client.Pipeline) -> None:
        stock = int(pipe.get("stock"))
        tries.append(stock)
        if len(tries) == 1:
            client.set("stock", 5)  # someone else was faster
        pipe.multi()
        pipe.set("stock", stock - 1)

    client.transaction(take, "stock")

    assert tries == [10, 5]
    assert client.get("stock") == "4"


def test_a_lock_is_held_by_one_extended_and_released(client: redis.Redis) -> None:
    lock = client.lock("resource", timeout=5)

    assert lock.acquire(blocking=False)
    assert not client.lock("resource", timeout=5).acquire(blocking=False)
    assert lock.extend(10)
    assert lock.owned()
    lock.release()
    with client.lock("resource", timeout=5, blocking_timeout=1):
        assert client.lock("resource").locked()
    assert client.exists("resource") == 0


def test_a_script_is_registered_run_and_survives_a_flush_of_scripts(client: redis.Redis) -> None:
    multiply = client.register_script(
        "redis.call('SET', KEYS[1], tonumber(redis.call('GET', KEYS[1])) * ARGV[1])"
        " return redis.call('GET', KEYS[1])"
    )
    client.set("number", 7)

    assert multiply(keys=["number"], args=[6]) == "42"
    client.script_flush()
    assert multiply(keys=["number"], args=[2]) == "84"
    with client.pipeline(transaction=False) as pipe:
        multiply(keys=["number"], args=[0], client=pipe)
        assert pipe.execute() == ["0"]


def test_messages_reach_subscribers_of_channels_and_patterns(client: redis.Redis) -> None:
    with client.pubsub(ignore_subscribe_messages=False) as listener:
        listener.subscribe("news")
        listener.psubscribe("user:*")
        confirmed = [listener.get_message(timeout=5)["type"] for _ in range(2)]
        client.publish("news", "hello")
        client.publish("user:1", "changed")
        got = [listener.get_message(timeout=5) for _ in range(2)]
        listener.unsubscribe()
        listener.punsubscribe()
        left = [listener.get_message(timeout=5)["type"] for _ in range(2)]

    assert confirmed == ["subscribe", "psubscribe"]
    assert [(m["type"], m["channel"], m["data"]) for m in got] == [
        ("message", "news", "hello"),
        ("pmessage", "user:1", "changed"),
    ]
    assert left == ["unsubscribe", "punsubscribe"]


def test_a_handler_thread_gets_every_message_in_order(client: redis.Redis) -> None:
    got: list[str] = []
    done = threading.Event()

    def handle(message: dict[str, str]) -> None:
        got.append(message["data"])
        if len(got) == 200:
            done.set()

    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(stream=handle)
    while not client.pubsub_numsub("stream")[0][1]:
        listener.get_message(timeout=0.01)
    thread = listener.run_in_thread(sleep_time=0.01)
    for number in range(200):
        client.publish("stream", str(number))
    assert done.wait(10)
    thread.stop()
    thread.join(10)
    listener.close()

    assert got == [str(number) for number in range(200)]


def test_a_blocked_pop_over_queues_of_several_slots_wakes_for_any(client: redis.Redis) -> None:
    popped: list[tuple[str, str]] = []

    def consume() -> None:
        while (found := client.brpop(["high", "low", "lowest"], timeout=5))[1] != "end":
            popped.append((found[0], found[1]))

    consumer = threading.Thread(target=consume)
    consumer.start()
    for number in range(20):
        client.lpush("low" if number % 2 else "high", number)
    client.lpush("lowest", "end")
    consumer.join(20)

    assert sorted(popped) == sorted(
        ("low" if number % 2 else "high", str(number)) for number in range(20)
    )
    started = time.monotonic()
    assert client.blpop(["none", "nothing"], timeout=1) is None
    assert time.monotonic() - started > 0.9


def test_a_stream_is_read_by_a_group_claimed_and_acknowledged(client: redis.Redis) -> None:
    client.xgroup_create("events", "workers", mkstream=True)
    added = [client.xadd("events", {"n": number}) for number in range(10)]

    read = client.xreadgroup("workers", "one", {"events": ">"}, count=4, block=1000)
    entries = read["events"][0] if isinstance(read, dict) else read[0][1]
    assert [entry[0] for entry in entries] == added[:4]
    assert client.xack("events", "workers", *added[:2]) == 2
    claimed = client.xautoclaim("events", "workers", "two", min_idle_time=0)
    assert [entry[0] for entry in claimed[1]] == added[2:4]
    assert client.xpending("events", "workers")["pending"] == 2


def test_scans_find_every_key(client: redis.Redis) -> None:
    names = {f"scan:{number}" for number in range(300)}
    client.mset(dict.fromkeys(names, "1"))
    client.hset("big", mapping={str(number): number for number in range(500)})

    assert set(client.scan_iter("scan:*", count=50)) == names
    assert len(dict(client.hscan_iter("big"))) == 500
    assert client.dbsize() == 301


def test_a_lost_connection_is_made_again(serve: Serve) -> None:
    address = serve(**SPLIT)
    with redis.Redis(address.host, address.port, retry=Retry(NoBackoff(), 3)) as client:
        client.set("a", 1)
        client.connection_pool.disconnect()

        assert client.get("a") == b"1"
        assert client.ping()
