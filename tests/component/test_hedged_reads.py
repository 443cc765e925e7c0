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


async def test_a_read_that_hangs_at_a_primary_is_asked_of_its_replicas_when_it_is_down() -> None:
    async with shard(fallback_s=30.0) as found:
        await found.ready()
        client = await found.served.connect()
        await client.call("GET", found.key)  # it is connected

        found.primary.freeze()
        await client.ask("GET", found.key)

        await client.expect(b"$1\r\nx\r\n")
        assert found.readers() - {found.primary} <= set(found.replicas)
        found.primary.thaw()
        lane = found.served.proxy.pools.lane_for(2)
        await until(lambda: lane.read_table is None)
        # The late reply is dropped, and the one behind it is the right one.
        assert await client.call("STRLEN", found.key) == b":1\r\n"
        assert len(found.primary.seen(b"GET")) == 2


async def test_replicas_answer_for_a_primary_that_hung_before_it_was_heard() -> None:
    async with shard(fallback_s=30.0, heard_s=1) as found:
        client = await found.served.connect()

        assert await client.call("GET", found.key) == b"$1\r\nx\r\n"


async def test_replicas_that_have_long_not_heard_a_hung_primary_do_not_answer_for_it() -> None:
    async with shard(fallback_s=30.0, heard_s=100) as found:
        proxy, lane = found.served.proxy, found.served.proxy.pools.lane_for(2)
        await until(lambda: proxy.pulse.is_down(found.primary.address))
        await until(lambda: all(proxy.pulse.vitals[r.address].rtt_s for r in found.replicas))

        assert lane.read_table is None


async def test_parts_of_a_split_read_that_hang_at_a_primary_are_asked_of_its_replicas() -> None:
    async with shard(fallback_s=30.0) as found:
        await found.ready()
        other = found.cluster.key_of(found.others[0])
        client = await found.served.connect()
        await client.call("MGET", found.key, other)

        found.primary.freeze()
        await client.ask("MGET", found.key, other)

        await client.expect(b"*2\r\n$1\r\nx\r\n$-1\r\n")
        found.primary.thaw()


async def test_a_read_before_a_write_that_hangs_is_not_overtaken_by_it() -> None:
    async with shard(fallback_s=30.0) as found:
        await found.ready()
        client, watcher = await found.served.connect(), await found.served.connect()
        await client.call("GET", found.key)

        found.primary.freeze()
        await client.send(
            encode_command("STRLEN", found.key),
            encode_command("SET", found.key, "long"),
            encode_command("STRLEN", found.key),
        )
        assert await watcher.call("GET", found.key) == b"$1\r\nx\r\n"
        found.primary.thaw()

        await client.expect(b":1\r\n", b"+OK\r\n", b":4\r\n")


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


async def test_a_read_of_a_slot_that_moves_is_not_asked_of_a_replica() -> None:
    async with shard(hedge_after_ms=20, hedge_share=1.0) as found:
        await found.ready()
        await found.open_slot()
        client, other = await found.served.connect(), await found.served.connect()
        another = found.cluster.keys_of(found.primary, 2)[1]
        found.cluster.store[another] = b"x"
        held = found.primary.hold(b"GET")

        await client.ask("GET", found.key)
        await held.arrived()
        # What waits behind it has been looked at when this is answered, so both have.
        assert await other.call("GET", another) == b"$1\r\nx\r\n"
        held.let_go()

        await client.expect(b"$1\r\nx\r\n")
        assert not any(replica.seen(b"GET", found.key) for replica in found.replicas)
        assert found.served.engine.hedges == 1


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
