"""CLIENT PAUSE: who waits, what waits behind it, and that nothing is lost or out of order."""

from __future__ import annotations

from scripted_cluster import FakeCluster
from served import Served, all_is_quiet

from proxy.resp.encode import encode_command

OK = b"+OK\r\n"


async def test_what_is_pipelined_behind_a_write_waits_with_it(served: Served) -> None:
    boss, client = await served.connect(), await served.connect()
    assert await boss.call("CLIENT", "PAUSE", 60_000, "WRITE") == OK

    await client.send(*(encode_command(*words) for words in (("GET", "k"), ("SET", "k", 1))))
    await client.send(encode_command("GET", "k"), encode_command("GET"))
    await client.expect(b"$-1\r\n")
    await all_is_quiet()
    assert not client.has_replies
    assert await boss.call("CLIENT", "UNPAUSE") == OK

    await client.expect(OK, b"$1\r\n1\r\n")
    assert (await client.read_reply()).startswith(b"-ERR wrong number of arguments for 'get'")


async def test_nobody_is_served_during_a_pause_of_everything(
    cluster: FakeCluster, served: Served
) -> None:
    boss, client = await served.connect(), await served.connect()
    await client.call("PING")
    assert await boss.call("CLIENT", "PAUSE", 300) == OK

    await client.send(*(encode_command("INCR", "n") for _ in range(100)))
    newcomer = await served.connect()
    await newcomer.ask("PING")
    await all_is_quiet()
    assert not client.has_replies
    assert not newcomer.has_replies
    assert all(node.requests == [] for node in cluster.nodes)

    await client.expect(*(b":%d\r\n" % number for number in range(1, 101)))
    await newcomer.expect(b"+PONG\r\n")


async def test_a_client_that_leaves_while_it_is_held_back_is_gone(
    cluster: FakeCluster, served: Served
) -> None:
    boss, client = await served.connect(), await served.connect()
    await boss.call("CLIENT", "PAUSE", 60_000, "WRITE")
    await client.ask("SET", "k", 1)
    await all_is_quiet()

    client.vanish()
    await all_is_quiet()
    assert await boss.call("CLIENT", "UNPAUSE") == OK

    assert await boss.call("GET", "k") == b"$-1\r\n"
    assert all(node.seen(b"SET") == [] for node in cluster.nodes)


async def test_a_pause_can_be_ended_and_begun_again(served: Served) -> None:
    boss, client = await served.connect(), await served.connect()
    await boss.call("CLIENT", "PAUSE", 60_000, "WRITE")
    await boss.call("CLIENT", "UNPAUSE")
    assert await client.call("SET", "k", 1) == OK

    # It must not last as long as the one before.
    await boss.call("CLIENT", "PAUSE", 50, "WRITE")
    assert await client.call("SET", "k", 2) == OK
    await boss.call("CLIENT", "PAUSE", 0)
    assert await client.call("SET", "k", 3) == OK


async def test_what_may_write_waits_as_a_write_does(served: Served) -> None:
    boss, client = await served.connect(), await served.connect()
    await boss.call("CLIENT", "PAUSE", 60_000, "WRITE")

    for words in (("EVAL", "return 1", 0), ("PUBLISH", "c", "m"), ("PFCOUNT", "k"), ("EXEC",)):
        other = await served.connect()
        await other.ask(*words)
        await all_is_quiet()
        assert not other.has_replies, words
    assert await client.call("EXISTS", "k") == b":0\r\n"
    await boss.call("CLIENT", "UNPAUSE")
