"""redis-py, asyncio: concurrent commands, pipelines, locks, pub/sub, blocking."""

from __future__ import annotations

import asyncio

import redis.asyncio as aioredis
from applications import SPLIT, Serve, finish

from proxy.cluster.topology import Address


def _connect(address: Address) -> aioredis.Redis:
    pool = aioredis.BlockingConnectionPool(
        host=address.host, port=address.port, decode_responses=True, max_connections=20
    )
    return aioredis.Redis.from_pool(pool)


def test_a_thousand_concurrent_increments_are_all_counted(serve: Serve) -> None:
    async def main(address: Address) -> list[str]:
        async with _connect(address) as client:
            await asyncio.gather(*(client.incr(f"counter:{n % 10}") for n in range(1000)))
            return await client.mget([f"counter:{n}" for n in range(10)])

    assert finish(main(serve(**SPLIT))) == ["100"] * 10


def test_a_pipeline_is_a_transaction_over_any_keys(serve: Serve) -> None:
    async def main(address: Address) -> list[object]:
        async with _connect(address) as client, client.pipeline(transaction=True) as pipe:
            return await pipe.set("a", 1).set("b", 2).incr("a").get("b").execute()

    assert finish(main(serve(**SPLIT))) == [True, True, 2, "2"]


def test_a_lock_serialises_tasks(serve: Serve) -> None:
    async def main(address: Address) -> tuple[str | None, int]:
        inside, most = 0, 0
        async with _connect(address) as client:
            await client.set("sum", 0)

            async def add() -> None:
                nonlocal inside, most
                async with client.lock("mutex", timeout=10, sleep=0.005):
                    inside += 1
                    most = max(most, inside)
                    value = int(await client.get("sum") or 0)
                    await client.set("sum", value + 1)
                    inside -= 1

            await asyncio.gather(*(add() for _ in range(20)))
            return await client.get("sum"), most

    assert finish(main(serve(**SPLIT))) == ("20", 1)


def test_messages_arrive_while_another_task_blocks(serve: Serve) -> None:
    async def main(address: Address) -> tuple[list[str], object]:
        async with _connect(address) as client, client.pubsub() as listener:
            await listener.subscribe("a", "b")
            confirmed = [await listener.get_message(timeout=5) for _ in "ab"]
            assert [message["type"] for message in confirmed] == ["subscribe", "subscribe"]
            blocked = asyncio.create_task(client.blpop(["q1", "q2"], timeout=10))
            got: list[str] = []
            await client.publish("a", "1")
            await client.publish("b", "2")
            while len(got) < 2:
                message = await listener.get_message(ignore_subscribe_messages=True, timeout=5)
                if message:
                    got.append(message["data"])
            await client.rpush("q2", "item")
            popped = await blocked
            return got, popped if popped is None else list(popped)

    assert finish(main(serve(**SPLIT))) == (["1", "2"], ["q2", "item"])
