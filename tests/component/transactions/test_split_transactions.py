"""MULTI over several slots: a block for each, one array, errors in their places."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from fake_node import Fate
from served import Served, until
from transactional_cluster import OK, TransactionalCluster, queue

from proxy.cluster.slots import key_slot
from proxy.resp import replies
from proxy.resp import replies_transactions as say


@pytest.fixture
def commands() -> Mapping[str, object]:
    """Return the setting that splits transactions."""
    return {"transactions": "split"}


@pytest.fixture
def keys(cluster: TransactionalCluster) -> list[bytes]:
    """Return a key of each node."""
    return [cluster.key_of(node) for node in cluster.nodes]


async def test_the_array_is_in_the_clients_order_whatever_node_answers_first(
    cluster: TransactionalCluster, served: Served, keys: list[bytes]
) -> None:
    a, b, c = keys
    held = cluster.nodes[0].hold(b"EXEC")
    client = await served.connect()
    await queue(client, ("INCR", a), ("SET", b, 1), ("INCR", a), ("GET", c), ("MGET", c, b, a))
    await client.ask("EXEC")
    await held.arrived()
    await cluster.nodes[1].wait_for(b"EXEC")
    await cluster.nodes[2].wait_for(b"EXEC")

    held.let_go()

    await client.expect(b"*5\r\n:1\r\n+OK\r\n:2\r\n$-1\r\n*3\r\n$-1\r\n$1\r\n1\r\n$1\r\n2\r\n")
    assert sorted(node.index for node, _ in cluster.ran) == [0, 1, 2]


async def test_a_slot_that_fails_is_an_error_in_each_of_its_places(
    cluster: TransactionalCluster, served: Served, keys: list[bytes]
) -> None:
    a, b, _ = keys
    cluster.nodes[0].once(b"EXEC", answer=Fate.CLOSE)
    client = await served.connect()
    await queue(client, ("INCR", a), ("INCR", b), ("GET", a), ("DEL", a, b))

    reply = await client.call("EXEC")

    lost = replies.lost_write(str(cluster.nodes[0].address))
    assert reply == b"*4\r\n" + lost + b":1\r\n" + lost + replies.parts_failed(
        b"del", failed=1, parts=2, first_error=lost, is_write=True
    )


async def test_one_slots_abort_leaves_the_others_alone(
    cluster: TransactionalCluster, served: Served, keys: list[bytes]
) -> None:
    a, b, _ = keys
    cluster.nodes[0].once(b"EXEC", answer=say.exec_aborted())
    client = await served.connect()
    await queue(client, ("INCR", a), ("INCR", b))

    assert await client.call("EXEC") == b"*2\r\n" + say.exec_aborted() + b":1\r\n"


async def test_one_slot_alone_is_as_strict(
    cluster: TransactionalCluster, served: Served, keys: list[bytes]
) -> None:
    cluster.nodes[0].once(b"EXEC", answer=say.exec_aborted())
    client = await served.connect()
    await queue(client, ("INCR", keys[0]))

    assert await client.call("EXEC") == say.exec_aborted()


async def test_what_has_no_key_goes_with_the_command_before_it(
    cluster: TransactionalCluster, served: Served, keys: list[bytes]
) -> None:
    a, b, _ = keys
    client = await served.connect()
    await queue(client, ("INCR", a), ("INCR", b), ("PUBLISH", "n", "x"), ("INCR", a))

    assert await client.call("EXEC") == b"*4\r\n:1\r\n:1\r\n:0\r\n:2\r\n"

    assert (cluster.nodes[1], [[b"INCR", b], [b"PUBLISH", b"n", b"x"]]) in cluster.ran


async def test_a_client_that_leaves_during_exec_leaves_nothing_behind(
    cluster: TransactionalCluster, served: Served, keys: list[bytes]
) -> None:
    a, b, _ = keys
    held = cluster.nodes[0].hold(b"EXEC")
    client = await served.connect()
    await queue(client, ("INCR", a), ("INCR", b))
    await client.ask("EXEC")
    await held.arrived()

    client.vanish()
    await until(lambda: not served.engine.clients and served.engine.in_flight == 0)
    held.let_go()

    other = await served.connect()
    assert await other.call("MGET", a, b) == b"*2\r\n$1\r\n1\r\n$1\r\n1\r\n"


async def test_transactions_without_a_key_spread_over_the_primaries(
    cluster: TransactionalCluster, served: Served
) -> None:
    for _ in range(3):
        client = await served.connect()
        await queue(client, ("PUBLISH", "n", "x"))
        assert await client.call("EXEC") == b"*1\r\n:0\r\n"

    assert sorted(node.index for node, _ in cluster.ran) == [0, 1, 2]


# ---- with WATCH ---------------------------------------------------------------------------------


async def test_the_others_run_only_after_the_watched_slot_has(
    cluster: TransactionalCluster, served: Served, keys: list[bytes]
) -> None:
    a, b, _ = keys
    client = await served.connect()
    assert await client.call("WATCH", a) == OK
    held = cluster.nodes[0].hold(b"EXEC")
    await queue(client, ("INCR", b), ("INCR", a))
    await client.ask("EXEC")
    await held.arrived()
    seen_meanwhile = list(cluster.nodes[1].requests)

    held.let_go()

    await client.expect(b"*2\r\n:1\r\n:1\r\n")
    assert seen_meanwhile == []
    assert [node.index for node, _ in cluster.ran] == [0, 1]


@pytest.mark.parametrize("touches_the_watched_slot", [True, False])
async def test_nothing_runs_if_a_watched_key_has_changed(
    cluster: TransactionalCluster,
    served: Served,
    keys: list[bytes],
    touches_the_watched_slot: bool,
) -> None:
    a, b, _ = keys
    client, other = await served.connect(), await served.connect()
    assert await client.call("WATCH", a) == OK
    assert await other.call("SET", a, "theirs") == OK
    await queue(client, ("INCR", b), ("GET", a if touches_the_watched_slot else b))

    assert await client.call("EXEC") == b"*-1\r\n"

    assert cluster.ran == []
    assert cluster.nodes[1].requests == []


async def test_nothing_else_runs_if_the_watched_slots_outcome_is_unknown(
    cluster: TransactionalCluster, served: Served, keys: list[bytes]
) -> None:
    a, b, _ = keys
    client = await served.connect()
    assert await client.call("WATCH", a) == OK
    cluster.nodes[0].once(b"EXEC", answer=Fate.RESET)
    await queue(client, ("INCR", b), ("INCR", a))

    assert await client.call("EXEC") == replies.lost_write(str(cluster.nodes[0].address))

    assert cluster.nodes[1].requests == []


async def test_keys_of_two_slots_cannot_be_watched(
    cluster: TransactionalCluster, served: Served, keys: list[bytes]
) -> None:
    a, b, _ = keys
    slots = {"slot": key_slot(a), "other": key_slot(b)}
    client = await served.connect()

    assert await client.call("WATCH", a, b) == say.watch_over_slots(**slots)
    assert await client.call("WATCH", a) == OK
    assert await client.call("WATCH", b) == say.watch_over_slots(**slots)

    assert await client.call("UNWATCH") == OK
    assert await client.call("WATCH", b) == OK
