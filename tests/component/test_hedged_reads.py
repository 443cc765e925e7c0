"""A read whose node is late or down is answered by another one, if the settings want that."""

from __future__ import annotations

from replicated import MASTERDOWN, read_by_many, shard
from served import until

from proxy.resp.encode import encode_command

# ---- a primary that is down -------------------------------------------------------------------


async def test_while_a_primary_is_down_its_replicas_answer_if_they_may() -> None:
    async with shard(fallback_s=30.0) as found:
        await found.ready()
        await read_by_many(found, 1)
        waiting = await found.served.connect()
        await found.primary.crash()
        await waiting.ask("GET", found.key)

        await waiting.expect(b"$1\r\nx\r\n")
        await read_by_many(found)
        elsewhere = found.readers() - {found.primary}
        await found.cluster.restart(found.primary)
        lane = found.served.proxy.pools.lane_for(2)
        await until(lambda: lane.read_table is None)

        assert elsewhere == set(found.replicas)
        client = await found.served.connect()
        seen = len(found.primary.seen(b"GET"))
        assert await client.call("GET", found.key) == b"$1\r\nx\r\n"
        assert len(found.primary.seen(b"GET")) == seen + 1


# ---- hedged reads ---------------------------------------------------------------------------


async def test_a_late_read_is_asked_again_and_the_first_reply_counts() -> None:
    async with shard(hedge_after_ms=20, hedge_share=1.0) as found:
        await found.ready()
        held = found.primary.hold(b"GET")
        client, other = await found.served.connect(), await found.served.connect()

        assert await client.call("GET", found.key) == b"$1\r\nx\r\n"
        await other.ask("SET", found.key, "y")
        held.answer(b"$4\r\nlate\r\n")

        assert await other.read_reply() == b"+OK\r\n"
        assert (found.served.engine.hedges, found.served.engine.hedges_won) == (1, 1)
        assert found.served.engine.in_flight == 0


async def test_a_hedged_part_of_a_split_read_counts_too() -> None:
    async with shard(hedge_after_ms=20, hedge_share=1.0) as found:
        await found.ready()
        held = found.primary.hold(b"MGET")
        other = found.cluster.key_of(found.others[0])
        client = await found.served.connect()

        assert await client.call("MGET", found.key, other) == b"*2\r\n$1\r\nx\r\n$-1\r\n"
        held.let_go()


async def test_no_reply_of_another_node_counts_behind_a_later_write() -> None:
    async with shard(hedge_after_ms=20, hedge_share=1.0) as found:
        await found.ready()
        held = found.primary.hold(b"GET")
        client = await found.served.connect()

        await client.send(encode_command("GET", found.key), encode_command("SET", found.key, "y"))
        await until(lambda: found.served.engine.hedges)
        await until(lambda: any(replica.seen(b"GET") for replica in found.replicas))
        held.answer(b"$5\r\nfirst\r\n")

        await client.expect(b"$5\r\nfirst\r\n", b"+OK\r\n")
        assert found.served.engine.hedges_won == 0


async def test_an_error_of_the_other_node_answers_nobody() -> None:
    async with shard(hedge_after_ms=20, hedge_share=1.0) as found:
        await found.ready()
        held = found.primary.hold(b"GET")
        for replica in found.replicas:
            replica.always(b"GET", answer=MASTERDOWN)
        client = await found.served.connect()

        await client.ask("GET", found.key)
        await until(lambda: any(replica.seen(b"GET") for replica in found.replicas))
        held.let_go()

        await client.expect(b"$1\r\nx\r\n")


async def test_only_a_share_of_the_requests_is_asked_again() -> None:
    async with shard(hedge_after_ms=10, hedge_share=0.05) as found:
        await found.ready()
        clients = [await found.served.connect() for _ in range(60)]
        found.primary.freeze()

        for client in clients:
            await client.ask("GET", found.key)
        await until(lambda: found.served.engine.hedges_won >= 1)
        found.primary.thaw()
        for client in clients:
            assert await client.read_reply() == b"$1\r\nx\r\n"

        assert 1 <= found.served.engine.hedges <= 1 + 60 * 0.05
