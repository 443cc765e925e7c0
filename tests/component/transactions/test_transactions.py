"""MULTI to EXEC when the cluster changes under it: run once as a whole, or not at all, and said."""

from __future__ import annotations

import pytest
from fake_node import Fate
from served import Served, all_is_quiet, serve, until
from transactional_cluster import KEY, OK, OTHER, QUEUED, SLOT, TransactionalCluster, queue

from proxy.resp import replies
from proxy.resp import replies_transactions as say
from proxy.resp.encode import array, bulk, encode_command, error, integer

# ---- the road ----------------------------------------------------------------------------


async def test_nothing_is_sent_before_exec_and_then_one_block(
    cluster: TransactionalCluster, served: Served
) -> None:
    node = cluster.owners[SLOT]
    client = await served.connect()
    await queue(client, ("SET", KEY, 1), ("GET", KEY))
    before = node.requests

    reply = await client.call("EXEC")

    assert before == []
    assert reply == b"*2\r\n+OK\r\n$1\r\n1\r\n"
    lines = [b"MULTI"], [b"SET", KEY, b"1"], [b"GET", KEY], [b"EXEC"]
    assert node.requests == list(lines)


async def test_a_transaction_in_one_piece_keeps_its_place_among_the_clients_requests(
    cluster: TransactionalCluster, served: Served
) -> None:
    node = cluster.owners[SLOT]
    held = node.hold(b"GET", KEY)
    client = await served.connect()
    lines = ("GET", KEY), ("MULTI",), ("APPEND", KEY, "a"), ("EXEC",), ("APPEND", KEY, "b")
    await client.send(*(encode_command(*line) for line in lines))
    await held.arrived()
    await all_is_quiet()
    seen_meanwhile = list(node.requests)

    held.let_go()

    await client.expect(b"$-1\r\n", OK, QUEUED, b"*1\r\n:1\r\n", b":2\r\n")
    assert seen_meanwhile == [[b"GET", KEY]]


async def test_what_comes_after_exec_waits_for_it(
    cluster: TransactionalCluster, served: Served
) -> None:
    held = cluster.owners[SLOT].hold(b"EXEC")
    elsewhere = next(node for node in cluster.nodes if node is not cluster.owners[SLOT])
    client = await served.connect()
    lines = ("MULTI",), ("INCR", KEY), ("EXEC",), ("GET", cluster.key_of(elsewhere))
    await client.send(*(encode_command(*line) for line in lines))
    await held.arrived()
    await all_is_quiet()
    seen_meanwhile = list(elsewhere.requests)

    held.let_go()

    await client.expect(OK, QUEUED, b"*1\r\n:1\r\n", b"$-1\r\n")
    assert seen_meanwhile == []


@pytest.mark.parametrize("watches", [False, True])
async def test_hundreds_of_commands_are_one_block_too(
    cluster: TransactionalCluster, served: Served, watches: bool
) -> None:
    client = await served.connect()
    lines = [("WATCH", KEY)] * watches + [("MULTI",), *[("INCR", KEY)] * 600, ("EXEC",)]

    await client.send(*(encode_command(*line) for line in lines))

    replies = await client.read_replies(watches + 602)
    assert replies[:-1] == [OK] * (watches + 1) + [QUEUED] * 600
    assert replies[-1] == array([integer(number + 1) for number in range(600)])
    assert len(cluster.ran) == 1


async def test_the_reply_mode_holds_inside_a_transaction(served: Served) -> None:
    client = await served.connect()
    lines = ("MULTI",), ("CLIENT", "ID"), ("INCR", KEY)
    off, on = ("CLIENT", "REPLY", "OFF"), ("CLIENT", "REPLY", "ON")

    await client.send(*(encode_command(*line) for line in (off, *lines, ("EXEC",), on)))
    await client.send(encode_command("CLIENT", "REPLY", "SKIP"), encode_command("MULTI"))
    await client.send(encode_command("INCR", KEY), encode_command("EXEC"))

    await client.expect(OK, QUEUED, b"*1\r\n:2\r\n")


async def test_resp3_clients_get_what_the_node_says_to_resp3(
    cluster: TransactionalCluster, served: Served
) -> None:
    client = await served.connect_resp3()
    await queue(client, ("GET", KEY), ("INCR", KEY))

    assert await client.call("EXEC") == b"*2\r\n_\r\n:1\r\n"


async def test_a_long_transaction_is_answered_in_part_while_it_is_still_being_written() -> None:
    async with (
        TransactionalCluster().running(receive_buffer_bytes=65536) as cluster,
        serve(cluster) as served,
    ):
        client = await served.connect()
        value = b"x" * (8 << 20)
        await queue(client, ("SET", KEY, 1), ("SET", KEY, value), ("STRLEN", KEY))

        assert await client.call("EXEC") == b"*3\r\n+OK\r\n+OK\r\n:8388608\r\n"


async def test_a_long_write_that_follows_ask_is_written_whole() -> None:
    async with (
        TransactionalCluster().running(receive_buffer_bytes=65536) as cluster,
        serve(cluster) as served,
    ):
        target = cluster.nodes[(cluster.owners[SLOT].index + 1) % 3]
        cluster.begin_migration(SLOT, target)
        client = await served.connect()

        assert await client.call("SET", KEY, b"x" * (8 << 20)) == OK

        assert len(cluster.store[KEY]) == 8 << 20


# ---- the cluster changes --------------------------------------------------------------------


async def test_a_slot_that_moved_before_exec_is_followed_and_the_block_runs_once(
    cluster: TransactionalCluster, served: Served
) -> None:
    target = cluster.nodes[(cluster.owners[SLOT].index + 1) % 3]
    client = await served.connect()
    await queue(client, ("INCR", KEY), ("INCR", OTHER))
    cluster.give(SLOT, target)

    reply = await client.call("EXEC")

    assert reply == b"*2\r\n:1\r\n:1\r\n"
    assert cluster.ran == [(target, [[b"INCR", KEY], [b"INCR", OTHER]])]


async def test_a_key_that_is_on_its_way_is_followed_with_asking(
    cluster: TransactionalCluster, served: Served
) -> None:
    target = cluster.nodes[(cluster.owners[SLOT].index + 1) % 3]
    cluster.store[KEY] = b"1"
    cluster.begin_migration(SLOT, target)
    cluster.migrate_key(KEY)
    client = await served.connect()
    await queue(client, ("INCR", KEY), ("GET", KEY))

    reply = await client.call("EXEC")

    assert reply == b"*2\r\n:2\r\n$1\r\n2\r\n"
    assert [node for node, _ in cluster.ran] == [target]


async def test_keys_on_both_sides_of_a_migration_are_waited_for(
    cluster: TransactionalCluster, served: Served
) -> None:
    source, target = cluster.owners[SLOT], cluster.nodes[(cluster.owners[SLOT].index + 1) % 3]
    cluster.store |= {KEY: b"1", OTHER: b"1"}
    cluster.begin_migration(SLOT, target)
    cluster.migrate_key(KEY)
    client = await served.connect()
    await queue(client, ("INCR", KEY), ("INCR", OTHER))
    await client.ask("EXEC")
    await source.wait_for(b"EXEC", count=2)
    ran_meanwhile = list(cluster.ran)

    cluster.give(SLOT, target)

    await client.expect(b"*2\r\n:2\r\n:2\r\n")
    assert ran_meanwhile == []
    assert len(cluster.ran) == 1


async def test_a_node_that_is_down_at_exec_is_waited_for(
    cluster: TransactionalCluster, served: Served
) -> None:
    node = cluster.owners[SLOT]
    client = await served.connect()
    await queue(client, ("INCR", KEY))
    await node.crash()
    await client.ask("EXEC")
    await until(lambda: served.proxy.pools.failed_dials)

    await cluster.restart(node)

    await client.expect(b"*1\r\n:1\r\n")


# ---- law 4 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", Fate)
async def test_a_transaction_whose_reply_is_lost_is_not_sent_again_if_it_writes(
    cluster: TransactionalCluster, served: Served, fate: Fate
) -> None:
    node = cluster.owners[SLOT]
    node.once(b"EXEC", answer=fate)
    client = await served.connect()
    await queue(client, ("GET", KEY), ("INCR", KEY))

    reply = await client.call("EXEC")

    assert reply == replies.lost_write(str(node.address))
    assert len(node.seen(b"EXEC")) == 1
    assert served.engine.outcome_unknown == 1


async def test_a_transaction_that_only_reads_is_sent_again(
    cluster: TransactionalCluster, served: Served
) -> None:
    node = cluster.owners[SLOT]
    node.once(b"EXEC", answer=Fate.RESET)
    client = await served.connect()
    await queue(client, ("GET", KEY), ("MGET", KEY, OTHER))

    assert await client.call("EXEC") == b"*2\r\n$-1\r\n*2\r\n$-1\r\n$-1\r\n"


async def test_a_deadline_gives_up_the_transaction_and_nobody_elses_replies(
    cluster: TransactionalCluster,
) -> None:
    async with serve(cluster, cluster={"request_timeout_s": 0.3}) as served:
        node = cluster.owners[SLOT]
        held = node.hold(b"EXEC")
        late, other = await served.connect(), await served.connect()
        await queue(late, ("INCR", KEY))
        await late.ask("EXEC")
        await held.arrived()

        await late.expect(replies.no_reply_to_write(str(node.address), 0.3))
        await other.ask("GET", KEY)
        held.let_go()

        await other.expect(b"$1\r\n1\r\n")
        assert await late.call("GET", KEY) == b"$1\r\n1\r\n"


async def test_a_client_that_leaves_while_it_queues_has_changed_nothing(
    cluster: TransactionalCluster, served: Served
) -> None:
    client = await served.connect()
    await queue(client, ("INCR", KEY))

    client.vanish()
    await served.wait_until_empty()

    assert all(node.requests == [] for node in cluster.nodes)


async def test_a_client_that_leaves_during_exec_leaves_nothing_behind(
    cluster: TransactionalCluster, served: Served
) -> None:
    held = cluster.owners[SLOT].hold(b"EXEC")
    client, other = await served.connect(), await served.connect()
    await queue(client, ("INCR", KEY))
    await client.ask("EXEC")
    await held.arrived()

    client.vanish()
    await until(lambda: len(served.engine.clients) == 1)
    held.let_go()

    assert await other.call("GET", KEY) == b"$1\r\n1\r\n"


# ---- errors -----------------------------------------------------------------------------------


async def test_an_error_of_the_node_at_queue_time_is_told_at_exec(
    cluster: TransactionalCluster, served: Served
) -> None:
    node = cluster.owners[SLOT]
    node.once(b"SET", answer=error(b"OOM command not allowed"))
    node.once(b"EXEC", answer=say.exec_aborted())
    client = await served.connect()
    await queue(client, ("SET", KEY, 1), ("GET", KEY))

    reply = await client.call("EXEC")

    assert reply == say.exec_aborted_by(b"-OOM command not allowed\r\n")


async def test_the_limit_of_what_is_queued_is_said_by_name(cluster: TransactionalCluster) -> None:
    async with serve(cluster, limits={"transaction_limit_bytes": 1500}) as served:
        client = await served.connect()
        await queue(client, ("SET", KEY, "x" * 500))

        assert await client.call("SET", KEY, "x" * 500) == say.transaction_too_big(1500)
        assert await client.call("EXEC") == say.exec_aborted()

        assert await client.call("GET", KEY) == b"$-1\r\n"
        assert served.engine.meter.limits["transaction_limit_bytes"] == 1


async def test_a_denied_command_spoils_the_transaction(served: Served) -> None:
    client = await served.connect()
    await queue(client, ("INCR", KEY))

    assert await client.call("SHUTDOWN", "NOSAVE") == say.not_in_transaction(
        b"shutdown", names_it=True
    )
    assert await client.call("DEBUG", "SLEEP", "0") == replies.denied(b"debug")
    assert await client.call("EXEC") == say.exec_aborted()


async def test_a_command_of_a_module_that_was_loaded_since_is_queued(
    cluster: TransactionalCluster, served: Served
) -> None:
    nothing: list[object] = [b":0", b":0", b":0", [], [], [], []]
    row = [b"frob", b":2", [b"+write", b"+movablekeys"], *nothing]
    table = array([frame_of(row), frame_of([b"exec", b":1", [b"+noscript"], *nothing])])
    for node in cluster.nodes:
        node.always(b"COMMAND", b"INFO", answer=array([frame_of(row)]))
        node.always(b"COMMAND", b"GETKEYS", answer=array([bulk(KEY)]))
        node.always(b"COMMAND", answer=table)
    client = await served.connect()
    assert await client.call("MULTI") == OK

    assert await client.call("FROB", KEY) == QUEUED
    assert await client.call("NOSUCH", KEY) == replies.unknown_command(b"NOSUCH", [KEY])
    assert await client.call("FROB") == replies.wrong_arity(b"frob")
    assert await client.call("EXEC") == say.exec_aborted()


def frame_of(value: object) -> bytes:
    """Return a row of COMMAND as a server sends it."""
    if isinstance(value, list):
        return array([frame_of(item) for item in value])
    assert isinstance(value, bytes)
    return value + b"\r\n" if value[:1] in (b":", b"+") else bulk(value)


# ---- what the proxy answers itself ----------------------------------------------------------


async def test_fan_outs_and_local_answers_have_their_places_in_the_array(
    cluster: TransactionalCluster, served: Served
) -> None:
    cluster.store[b"elsewhere"] = b"x"
    client = await served.connect()
    await queue(client, ("DBSIZE",), ("SET", KEY, 1), ("ECHO", "hi"), ("DBSIZE",), ("GET", KEY))

    reply = await client.call("EXEC")

    assert reply == b"*5\r\n:1\r\n+OK\r\n$2\r\nhi\r\n:2\r\n$1\r\n1\r\n"
    assert len(cluster.ran) == 1


async def test_if_the_block_does_not_run_nothing_after_it_does(
    cluster: TransactionalCluster, served: Served
) -> None:
    node = cluster.owners[SLOT]
    node.once(b"EXEC", answer=say.exec_aborted())
    client = await served.connect()
    await queue(client, ("SET", KEY, 1), ("CLIENT", "SETNAME", "me"))

    assert await client.call("EXEC") == say.exec_aborted()

    assert await client.call("CLIENT", "GETNAME") == b"$-1\r\n"
