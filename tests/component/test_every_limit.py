"""Law 8, key by key: below a limit it works, above it one hears of it, then all is given back.

Each key of ``[limits]`` has one scenario below; one without fails here. What else each limit
does is in ``test_limits.py`` and the files of its own subject.
"""

from __future__ import annotations

import gc

import pytest
from broker import Broker, listen
from limit_stage import SCENARIOS, Stage, scenario
from scripted_cluster import FakeCluster
from served import all_is_quiet, serve, until

from proxy.config.limits import Limits
from proxy.resp.encode import bulk, encode_command, integer

# What may stay: a scanner for cut frames, and what Python keeps of what is gone.
NOTHING_BYTES = 4096
UNCOUNTED = {
    "pubsub_output_soft_s": "pubsub_output_soft_bytes",  # counted as the limit that it belongs to
    "script_memory_bytes": None,  # meant to be full: older scripts are forgotten
}


async def refused(stage: Stage, request: bytes, words: bytes) -> None:
    """Assert that a request is answered with these words, and its client closed."""
    client = await stage.client("refused")
    await client.send(request)
    assert words in await client.read_reply()
    await client.expect_end()


# ---- requests ---------------------------------------------------------------------------------


@scenario("request_limit_bytes", 200)
class _Request(Stage):
    async def below(self) -> None:
        assert await (await self.client()).call("SET", "key", "x" * 150) == b"+OK\r\n"

    async def above(self) -> None:
        await refused(self, encode_command("SET", "key", "x" * 200), b"request_limit_bytes is 200")


@scenario("argument_limit", 5)
class _Arguments(Stage):
    async def below(self) -> None:
        assert await (await self.client()).call("EXISTS", *"aaaa") == b":0\r\n"

    async def above(self) -> None:
        await refused(self, encode_command("EXISTS", *"aaaaa"), b"argument_limit is 5")


@scenario("argument_limit_bytes", 100)
class _Argument(Stage):
    async def below(self) -> None:
        assert await (await self.client()).call("SET", "key", "x" * 100) == b"+OK\r\n"

    async def above(self) -> None:
        request = encode_command("SET", "key", "x" * 101)
        await refused(self, request, b"argument_limit_bytes is 100")


@scenario("inline_limit_bytes", 50)
class _Inline(Stage):
    async def below(self) -> None:
        client = await self.client()
        await client.send(b"ECHO " + b"x" * 43 + b"\r\n")
        await client.expect(bulk(b"x" * 43))

    async def above(self) -> None:
        await refused(self, b"ECHO " + b"x" * 50 + b"\r\n", b"inline_limit_bytes is 50")


# ---- replies ----------------------------------------------------------------------------------


@scenario("reply_limit_bytes", 1000)
class _Reply(Stage):
    async def below(self) -> None:
        self.cluster.store[self.key()] = b"x" * 992  # and the length before it
        assert len(await (await self.client()).call("GET", self.key())) == 1000

    async def above(self) -> None:
        self.cluster.store[self.key()] = b"x" * 993
        assert b"reply_limit_bytes (1000)" in await (await self.client()).call("GET", self.key())


async def _read_big(stage: Stage) -> None:
    stage.cluster.store[stage.key()] = b"x" * 100_000
    assert len(await (await stage.client()).call("GET", stage.key())) > 100_000


async def _ask_without_reading(stage: Stage, times: int) -> None:
    await (await stage.lazy()).send(encode_command("GET", stage.key()) * times)


@scenario("client_output_soft_bytes", 400_000, client_in_flight_limit=4)
class _SoftOutput(Stage):
    below = _read_big

    async def above(self) -> None:
        lazy = await self.client("lazy", receive_buffer_bytes=65536)
        await _ask_without_reading(self, 80)
        await until(lambda: self.hits("client_output_soft_bytes"))
        assert await (await self.client()).call("PING") == b"+PONG\r\n"
        await lazy.expect(bulk(b"x" * 100_000) * 80)


@scenario("client_output_soft_s", 0.2, client_output_soft_bytes=400_000)
class _SoftSeconds(Stage):
    below = _read_big

    async def above(self) -> None:
        await _ask_without_reading(self, 200)
        await until(lambda: len(self.served.engine.clients) == 1)
        assert await (await self.client()).call("PING") == b"+PONG\r\n"


@scenario(
    "client_output_limit_bytes",
    2_000_000,
    client_output_soft_bytes=400_000,
    reply_limit_bytes=300_000,
)
class _HardOutput(Stage):
    below = _read_big

    async def above(self) -> None:
        await _ask_without_reading(self, 500)
        await until(lambda: len(self.served.engine.clients) == 1)
        assert await (await self.client()).call("PING") == b"+PONG\r\n"


# ---- what waits -------------------------------------------------------------------------------


@scenario("memory_limit_bytes", 100_000)
class _Memory(Stage):
    async def below(self) -> None:
        assert await (await self.client()).call("SET", self.key(), "x" * 50_000) == b"+OK\r\n"

    async def above(self) -> None:
        held = self.cluster.nodes[0].hold(b"SET")
        other, writers = await self.client("other"), [await self.client(n) for n in "ab"]
        for writer in writers:
            await writer.ask("SET", self.key(), "x" * 60_000)
        await held.arrived()
        await until(lambda: self.served.engine.memory_bytes > 100_000)
        reply = await other.call("GET", self.key(1))
        assert reply.startswith(b"-OOM ")
        assert b"limits.memory_limit_bytes (100000)" in reply
        assert await other.call("MULTI") == reply
        assert await other.call("PROXY", "STATS")
        held.let_go()
        for writer in writers:
            await writer.expect(b"+OK\r\n")
        assert await other.call("GET", self.key(1)) == b"$-1\r\n"


async def _pipeline(stage: Stage, count: int) -> None:
    held = stage.cluster.nodes[0].hold(b"SET")
    client = await stage.client()
    await client.send(*[encode_command("SET", stage.key(), n) for n in range(count)])
    await held.arrived()
    await all_is_quiet()
    held.let_go()
    await client.expect(b"+OK\r\n" * count)


@scenario("client_in_flight_limit", 4)
class _InFlight(Stage):
    async def below(self) -> None:
        await _pipeline(self, 3)

    async def above(self) -> None:
        await _pipeline(self, 10)


@scenario("node_in_flight_limit", 4)
class _NodeInFlight(Stage):
    async def below(self) -> None:
        await _pipeline(self, 4)

    async def above(self) -> None:
        await _pipeline(self, 10)


@scenario("node_queue_soft_bytes", 10_000)
class _NodeQueue(Stage):
    async def below(self) -> None:
        await _pipeline(self, 5)

    async def above(self) -> None:
        node, clients = self.cluster.nodes[0], []
        await node.crash()
        for number in range(20):
            clients.append(await self.client(str(number)))
            await clients[-1].ask("SET", self.key(), "x" * 1000)
        assert await (await self.client("other")).call("SET", self.key(1), 1) == b"+OK\r\n"
        await until(lambda: self.hits("node_queue_soft_bytes"))
        await self.cluster.restart(node)
        for client in clients:
            await client.expect(b"+OK\r\n")


@scenario("fan_out_limit", 2)
class _FanOut(Stage):
    async def below(self) -> None:
        assert await (await self.client()).call("EXISTS", self.key(), self.key(1)) == b":0\r\n"

    async def above(self) -> None:
        keys = [self.key(), self.key(1), self.key(2)]
        reply = await (await self.client()).call("EXISTS", *keys)
        assert b"lie in 3 slots, and the setting limits.fan_out_limit is 2" in reply


# ---- counts -----------------------------------------------------------------------------------


async def _track(stage: Stage, name: str) -> bytes:
    client = await stage.client(name)
    await client.call("HELLO", 3)
    return await client.call("CLIENT", "TRACKING", "ON")


@scenario("lane_limit", 1)
class _Lanes(Stage):
    async def below(self) -> None:
        assert await _track(self, "one") == b"+OK\r\n"

    async def above(self) -> None:
        assert b"limits.lane_limit = 1" in await _track(self, "two")


async def _watch(stage: Stage, name: str) -> bytes:
    return await (await stage.client(name)).call("WATCH", stage.key())


@scenario("private_connection_limit", 1)
class _Private(Stage):
    async def below(self) -> None:
        for node in self.cluster.nodes:
            node.always(b"WATCH", answer=b"+OK\r\n")
        assert await _watch(self, "one") == b"+OK\r\n"

    async def above(self) -> None:
        assert b"limits.private_connection_limit = 1" in await _watch(self, "two")


@scenario("client_subscription_limit", 2)
class _Subscriptions(Stage):
    async def below(self) -> None:
        await listen(await self.client(), b"a", b"b")

    async def above(self) -> None:
        reply = await (await self.client()).call("SUBSCRIBE", "c")
        assert b"limits.client_subscription_limit = 2" in reply


# ---- what the control plane keeps -------------------------------------------------------------


async def _queue(stage: Stage, size: int) -> bytes:
    client = await stage.client()
    assert await client.call("MULTI") == b"+OK\r\n"
    reply = await client.call("SET", stage.key(), "x" * size)
    await client.call("DISCARD")
    return reply


@scenario("transaction_limit_bytes", 2000)
class _Transaction(Stage):
    async def below(self) -> None:
        assert await _queue(self, 1000) == b"+QUEUED\r\n"

    async def above(self) -> None:
        assert b"limits.transaction_limit_bytes" in await _queue(self, 2000)


async def _unite(stage: Stage, size: int) -> bytes:
    for node in stage.cluster.nodes:
        node.once(b"MEMORY", b"USAGE", answer=integer(size))
        node.always(b"SMEMBERS", answer=b"*1\r\n$1\r\nx\r\n")
    return await (await stage.client()).call("SUNION", stage.key(), stage.key(1))


@scenario("cross_slot_limit_bytes", 1000)
class _Across(Stage):
    async def below(self) -> None:
        for node in self.cluster.nodes:
            node.always(b"DUMP", answer=bulk(b"x"))
            node.always(b"RESTORE", answer=b"+OK\r\n")
            node.always(b"SUNION", answer=b"*0\r\n")
        assert b"cross_slot_limit_bytes" not in await _unite(self, 300)

    async def above(self) -> None:
        assert b"limits.cross_slot_limit_bytes is 1000" in await _unite(self, 5000)


async def _bring_script(stage: Stage, size: int) -> None:
    for node in stage.cluster.nodes:
        node.always(b"EVAL", answer=b"$-1\r\n")
    script = b"return 1 --" + b"x" * size
    await (await stage.client()).call("EVAL", script, 1, stage.key())


@scenario("script_memory_bytes", 10_000)
class _Scripts(Stage):
    async def below(self) -> None:
        await _bring_script(self, 4000)
        assert self.served.proxy.scripts.size_bytes > 4000

    async def above(self) -> None:
        for size in range(4001, 4011):
            await _bring_script(self, size)
        assert 0 < self.served.proxy.scripts.size_bytes <= 10_000


# ---- subscribers ------------------------------------------------------------------------------


async def _hear_little(stage: Stage) -> None:
    await listen(await stage.lazy(), b"news")
    await stage.broker.publish(b"news", b"hello")
    assert b"hello" in await (await stage.lazy()).read_reply()


async def _shout(stage: Stage) -> None:
    for _ in range(60):
        await stage.broker.publish(b"news", b"x" * 100_000)
        await all_is_quiet()
        if not stage.served.engine.clients:
            return
    await until(lambda: not stage.served.engine.clients)


@scenario("pubsub_output_limit_bytes", 500_000)
class _HardMessages(Stage):
    below, above = _hear_little, _shout


@scenario("pubsub_output_soft_bytes", 200_000, pubsub_output_soft_s=0.2)
class _SoftMessages(Stage):
    below, above = _hear_little, _shout


@scenario("pubsub_output_soft_s", 0.2, pubsub_output_soft_bytes=200_000)
class _SoftMessageSeconds(Stage):
    below, above = _hear_little, _shout


# ---- all of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", Limits.model_fields)
async def test_a_limit(cluster: FakeCluster, limit: str) -> None:
    assert limit in SCENARIOS, f"{limit} has no scenario here"
    limits, scene = SCENARIOS[limit]
    counted = UNCOUNTED.get(limit, limit)
    broker = Broker(cluster)
    async with serve(cluster, limits=limits) as served:
        stage = scene(served, cluster, broker)
        newcomer = await stage.client("newcomer")
        assert await newcomer.call("PING") == b"+PONG\r\n"
        newcomer.vanish()
        await until(lambda: not stage.served.engine.clients)
        before = stage.served.engine.memory_bytes

        await stage.below()
        assert counted is None or stage.hits(counted) == 0
        await stage.above()
        assert counted is None or stage.hits(counted) > 0

        for client in stage.served.clients:
            client.vanish()
        await stage.served.wait_until_empty()
        await all_is_quiet()
        gc.collect()
        await until(lambda: stage.served.engine.memory_bytes <= before + NOTHING_BYTES)
        stage.named.clear()
        assert await (await stage.client("later")).call("GET", "later") == b"$-1\r\n"


def test_every_scenario_is_of_a_limit() -> None:
    assert set(SCENARIOS) == set(Limits.model_fields)
