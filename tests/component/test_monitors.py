"""MONITOR: the tap is open only while somebody looks."""

from __future__ import annotations

from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.resp.encode import encode_command


async def test_nothing_is_tapped_once_the_last_monitor_has_left(served: Served) -> None:
    first, last = await served.connect(), await served.connect()
    before = served.engine.tap

    assert await first.call("MONITOR") == b"+OK\r\n"
    assert await last.call("MONITOR") == b"+OK\r\n"
    assert await first.call("RESET") == b"+RESET\r\n"
    while_one_looks = served.engine.tap
    last.vanish()

    await until(lambda: served.engine.tap is None)
    assert before is None
    assert while_one_looks is not None
    assert len(served.proxy.desk.monitors) == 0


async def test_a_request_that_is_held_back_is_shown_once(
    served: Served, cluster: FakeCluster
) -> None:
    monitor, client = await served.connect(), await served.connect()
    await monitor.call("MONITOR")
    node = cluster.nodes[0]
    key = cluster.key_of(node)
    held = node.hold(b"GET", key)

    # INFO has to wait until GET is answered, and is looked at twice.
    await client.send(encode_command("GET", key), encode_command("INFO", "server"))
    await held.arrived()
    await all_is_quiet()
    held.let_go()
    await client.read_replies(2)

    lines = await monitor.read_replies(2)
    assert [line.split(b'"')[1] for line in lines] == [b"GET", b"INFO"]
    await all_is_quiet()
    assert not monitor.has_replies


async def test_a_stranger_sees_and_shows_nothing(cluster: FakeCluster) -> None:
    async with serve(cluster, clients={"password": "secret"}) as served:
        monitor, stranger = await served.connect(), await served.connect()
        assert (await stranger.call("MONITOR")).startswith(b"-NOAUTH")
        await monitor.call("AUTH", "secret")
        await monitor.call("MONITOR")

        await stranger.call("GET", "k")
        await stranger.call("AUTH", "wrong")
        await stranger.call("AUTH", "secret")
        await stranger.call("GET", "k")

        lines = await monitor.read_replies(3)
        said = [line.partition(b"] ")[2] for line in lines]
        assert said == [b'"AUTH" "(redacted)"\r\n', b'"AUTH" "(redacted)"\r\n', b'"GET" "k"\r\n']
