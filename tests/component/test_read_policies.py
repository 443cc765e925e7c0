"""Reads go to whom the settings say, and are answered rightly whatever a replica does."""

from __future__ import annotations

import pytest
from fake_node import Fate
from raw_client import RawClient
from replicated import MASTERDOWN, QUICK, Shard, read_by_many, shard
from scripted_cluster import FakeCluster
from served import serve, until

from proxy.cluster.slots import key_slot
from proxy.resp import replies_nodes
from proxy.resp.encode import bulk, encode_command


async def test_by_default_the_primary_answers_and_no_replica_is_asked_anything() -> None:
    async with shard() as found:
        await read_by_many(found)

        assert found.readers() == {found.primary}
        assert not any(node.seen(b"INFO", b"replication") for node in found.cluster.nodes)
        assert not any(node.seen(b"READONLY") for node in found.cluster.nodes)


async def test_replicas_share_the_reads_and_the_primary_has_the_writes() -> None:
    async with shard(policy="prefer_replica") as found:
        await found.ready()
        await read_by_many(found)
        client = await found.served.connect()

        assert await client.call("SET", found.key, "y") == b"+OK\r\n"
        assert await client.call("STRLEN", found.key) == b":1\r\n"

        assert found.readers() == set(found.replicas)
        assert len(found.primary.seen(b"SET")) == 1
        assert not found.primary.seen(b"STRLEN")


async def test_a_client_reads_at_one_replica_all_the_time() -> None:
    async with shard(policy="replica") as found:
        await found.ready()
        client = await found.served.connect()

        await client.send(*[encode_command("GET", found.key)] * 50)
        await client.expect(b"$1\r\nx\r\n" * 50)

        assert len(found.readers()) == 1


async def test_parts_of_a_split_read_go_to_replicas_too() -> None:
    async with shard(policy="prefer_replica") as found:
        await found.ready()
        other = found.cluster.key_of(found.others[0])
        client = await found.served.connect()

        assert await client.call("MGET", found.key, other) == b"*2\r\n$1\r\nx\r\n$-1\r\n"

        assert not found.primary.seen(b"MGET")
        assert found.others[0].seen(b"MGET")


@pytest.mark.parametrize("words", [("MULTI",), ("WATCH", "{k}")], ids=["multi", "watch"])
async def test_what_belongs_to_a_transaction_is_read_at_the_primary(words: tuple[str, ...]) -> None:
    async with shard(policy="replica") as found:
        await found.ready()
        client = await found.served.connect()
        for word in (b"WATCH", b"UNWATCH"):
            found.primary.always(word, answer=b"+OK\r\n")
        words = tuple(found.key.decode() if word == "{k}" else word for word in words)

        await client.call(*words)
        await client.call("GET", found.key)
        await client.call("EXEC" if words == ("MULTI",) else "UNWATCH")

        assert found.readers() <= {found.primary}


async def test_a_script_that_only_reads_is_run_at_the_primary() -> None:
    async with shard(policy="replica") as found:
        await found.ready()
        found.primary.always(b"EVAL_RO", answer=b":7\r\n")
        client = await found.served.connect()

        assert await client.call("EVAL_RO", "return 7", 1, found.key) == b":7\r\n"


# ---- a replica that will not ---------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [MASTERDOWN, b"-LOADING the dataset in memory\r\n", b"-CLUSTERDOWN down\r\n", Fate.RESET],
    ids=["masterdown", "loading", "clusterdown", "reset"],
)
async def test_what_a_replica_refuses_the_primary_answers(answer: bytes | Fate) -> None:
    async with shard(policy="prefer_replica") as found:
        await found.ready()
        for replica in found.replicas:
            replica.always(b"GET", answer=answer)

        await read_by_many(found)

        assert found.primary in found.readers()


async def test_what_one_replica_refuses_the_next_answers_when_only_they_may() -> None:
    async with shard(policy="replica") as found:
        await found.ready()
        bad, good = found.replicas
        bad.always(b"GET", answer=MASTERDOWN)

        await read_by_many(found)

        assert good in found.readers()
        assert found.primary not in found.readers()


async def test_a_moved_of_a_replica_changes_no_map() -> None:
    async with shard(policy="prefer_replica") as found:
        await found.ready()
        generation = found.served.engine.slot_map.generation
        for replica in found.replicas:
            replica.always(b"GET", answer=found.others[0].moved(key_slot(found.key)))

        await read_by_many(found)

        assert found.served.engine.slot_map.generation == generation
        assert found.primary in found.readers()


@pytest.mark.parametrize("policy", ["prefer_replica", "replica"])
async def test_a_key_that_has_left_is_found_once_the_map_says_that_its_slot_moves(
    policy: str,
) -> None:
    async with shard(policy=policy) as found:
        await found.ready()
        await read_by_many(found)
        for replica in found.replicas:
            replica.always(b"GET", answer=b"$-1\r\n")  # it does not know of the move

        await found.open_slot()
        found.cluster.migrate_key(found.key)

        await read_by_many(found)
        assert found.others[0].seen(b"GET", found.key)


async def test_when_no_slot_moves_any_more_replicas_answer_again() -> None:
    async with shard(policy="prefer_replica") as found:
        await found.ready()
        await found.open_slot()
        await found.ready(0)

        found.cluster.migrating.clear()
        watcher = found.served.proxy.watcher
        for number in range(3):  # other slots move meanwhile
            generation = found.served.topology.generation
            found.cluster.give(16383 - number, found.others[0])
            watcher.suspect()
            await until(lambda now=generation: found.served.topology.generation > now)

        await found.ready()


async def test_a_dead_replicas_reads_go_elsewhere() -> None:
    async with shard(policy="prefer_replica") as found:
        await found.ready()
        await read_by_many(found)
        for replica in found.replicas:
            await replica.crash()

        await read_by_many(found)

        assert found.primary in found.readers()


async def test_a_hung_replicas_reads_are_asked_elsewhere_when_it_misses_its_checks() -> None:
    async with shard({"silence_timeout_s": 0.05}, policy="prefer_replica") as found:
        await found.ready()
        clients = [await found.served.connect() for _ in range(4)]
        for replica in found.replicas:
            replica.freeze()

        for client in clients:
            await client.ask("GET", found.key)

        for client in clients:
            assert await client.read_reply() == b"$1\r\nx\r\n"
        assert found.primary in found.readers()
        for replica in found.replicas:
            replica.thaw()


async def test_a_busy_replica_is_waited_for_as_a_primary_is() -> None:
    async with shard(
        {"silence_timeout_s": 0.02, "health_failures": 1000}, policy="replica"
    ) as found:
        await found.ready()
        held = [replica.hold(b"GET") for replica in found.replicas]
        client = await found.served.connect()
        await client.ask("GET", found.key)
        await until(lambda: any(each.seen for each in held))
        notices = found.served.proxy.observatory.insight

        await until(lambda: "node_silent" in [str(e.kind) for e in notices.events(0).events])
        for each in held:
            each.let_go()

        await client.expect(b"$1\r\nx\r\n")
        assert sum(len(replica.seen(b"GET")) for replica in found.replicas) == 1


async def test_without_any_replica_of_use_replica_waits_and_says_so() -> None:
    async with shard({"request_timeout_s": 0.3}, policy="replica") as found:
        await found.ready()
        for replica in found.replicas:
            text = found.cluster.replication_text(replica, link=b"down")
            replica.always(b"INFO", b"replication", answer=bulk(text))
        await found.ready(0)
        client = await found.served.connect()

        assert await client.call("GET", found.key) == replies_nodes.no_reader(
            key_slot(found.key), 0.3
        )
        assert await client.call("SET", found.key, "x") == b"+OK\r\n"


# ---- staleness ------------------------------------------------------------------------------


async def test_a_replica_too_far_behind_answers_nothing_until_it_has_caught_up() -> None:
    async with shard(policy="prefer_replica", max_lag_s=0.1) as found:
        await found.ready()
        late = found.replicas[0]
        text = found.cluster.replication_text(late, behind=500)
        late.always(b"INFO", b"replication", answer=bulk(text))

        await found.ready(1)
        await read_by_many(found)
        only = found.readers()
        late.forget_script()
        await found.ready(2)

        assert only == {found.replicas[1]}


# ---- users ------------------------------------------------------------------------------------


async def log_in(found: Shard, user: str) -> RawClient:
    """Return a client of this user."""
    client = await found.served.connect()
    assert await client.call("AUTH", user, "secret") == b"+OK\r\n"
    return client


async def test_a_user_may_read_elsewhere_than_the_others() -> None:
    nodes = FakeCluster()
    nodes.add_replica(nodes.nodes[0])
    async with (
        nodes.running(),
        serve(
            nodes,
            cluster=QUICK,
            reads={"users": {"reports": "replica"}},
            clients={"users": {"reports": "secret", "shop": "secret"}},
        ) as served,
    ):
        found = Shard(nodes, served)
        await found.ready(1)

        shop = await log_in(found, "shop")
        assert await shop.call("GET", found.key) == b"$1\r\nx\r\n"
        before = found.readers()
        reports = await log_in(found, "reports")
        assert await reports.call("STRLEN", found.key) == b":1\r\n"
        assert await reports.call("HELLO", 3, "AUTH", "shop", "secret")
        assert await reports.call("EXISTS", found.key) == b":1\r\n"

        assert before == {found.primary}
        assert found.replicas[0].seen(b"STRLEN")
        assert found.primary.seen(b"EXISTS")


# ---- nearest ------------------------------------------------------------------------------------


async def test_the_nearest_is_who_is_in_the_same_zone() -> None:
    nodes = FakeCluster()
    for _ in range(2):
        nodes.add_replica(nodes.nodes[0])
    async with nodes.running():
        here = nodes.nodes[4]
        here.always(b"INFO", b"server", answer=bulk(b"# Server\r\navailability_zone:a\r\n"))
        async with serve(nodes, cluster=QUICK, reads={"policy": "nearest", "zone": "a"}) as served:
            found = Shard(nodes, served)
            number = served.proxy.routes.number(here.address)
            owner = served.proxy.routes.number(found.primary.address)
            lane = served.proxy.pools.lane_for(2)
            await until(lambda: lane.read_table and lane.read_table.reader_of(owner, 0) == number)

            await read_by_many(found)

            assert found.readers() == {here}
