"""What redis-py builds on MULTI, unmodified: pipelines, transaction(), locks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis.lock import Lock

from proxy.embedded import EmbeddedCluster, ProxyProcess

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def splitting_proxy(cluster: EmbeddedCluster) -> Iterator[ProxyProcess]:
    """A proxy with transactions = "split"."""
    with ProxyProcess(cluster.addresses, settings={"commands.transactions": "split"}) as proxy:
        yield proxy
        assert not proxy.tracebacks()


@pytest.fixture(params=[2, 3])
def split(
    cluster: EmbeddedCluster, splitting_proxy: ProxyProcess, request: pytest.FixtureRequest
) -> Iterator[redis.Redis]:
    """A client whose transactions may have keys anywhere."""
    with redis.Redis(port=splitting_proxy.port, protocol=request.param) as client:
        yield client


def test_a_pipeline_over_many_keys_is_a_batch(split: redis.Redis) -> None:
    with split.pipeline() as pipe:
        for number in range(500):
            pipe.set(f"key:{number}", number)
        pipe.mget([f"key:{number}" for number in range(500)])
        for number in range(500):
            pipe.incr(f"key:{number}")
        pipe.publish("news", "done")
        pipe.dbsize()
        results = pipe.execute()

    assert results[:500] == [True] * 500
    assert results[500] == [str(number).encode() for number in range(500)]
    assert results[501:1001] == list(range(1, 501))
    assert results[1001:] == [0, 500]


def test_an_error_in_a_batch_stands_in_its_place(split: redis.Redis) -> None:
    split.set("text", "x")
    with split.pipeline() as pipe:
        pipe.set("a", 1).incr("text").set("b", 2)
        results = pipe.execute(raise_on_error=False)

    assert results[0] is results[2] is True
    assert isinstance(results[1], redis.ResponseError)
    assert split.mget("a", "b") == [b"1", b"2"]


def test_an_error_in_a_batchs_words_runs_nothing(split: redis.Redis) -> None:
    with split.pipeline() as pipe:
        pipe.set("a", 1).execute_command("GET")
        with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
            pipe.execute()

    assert split.exists("a") == 0


def test_scripts_in_a_batch_are_known_to_every_shard(split: redis.Redis) -> None:
    script = split.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    split.script_flush()
    with split.pipeline() as pipe:
        for number in range(50):
            script(keys=[f"key:{number}"], args=[number], client=pipe)
        assert pipe.execute() == list(range(50))


def test_strict_refuses_the_second_slot_by_name(
    cluster: EmbeddedCluster, proxy_process: ProxyProcess
) -> None:
    with redis.Redis(port=proxy_process.port) as client, client.pipeline() as pipe:
        pipe.set("a", 1).set("b", 2)
        with pytest.raises(redis.ResponseError, match=r"the setting commands\.transactions"):
            pipe.execute()
        assert client.exists("a", "b") == 0


def count_up(client: redis.Redis) -> int:
    """Count by redis-py's own helper, until nobody came in between."""

    def change(pipe: redis.client.Pipeline) -> int:
        value = int(pipe.get("{t}n") or 0) + 1
        pipe.multi()
        pipe.set("{t}n", value)
        pipe.set("other", value)
        return value

    return int(client.transaction(change, "{t}n", value_from_callable=True))


def test_the_transaction_helper_counts_right_with_many_clients(split: redis.Redis) -> None:
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda _: count_up(split), range(80)))

    assert sorted(values) == list(range(1, 81))
    assert split.mget("{t}n") == [b"80"]


def test_a_lock_is_held_by_one_client_at_a_time(split: redis.Redis) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        with Lock(split, "lock", timeout=30, sleep=0.002):
            inside.append(number)
            most.append(len(inside))
            split.incr("work")
            inside.remove(number)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(30)))

    assert max(most) == 1
    assert split.get("work") == b"30"
