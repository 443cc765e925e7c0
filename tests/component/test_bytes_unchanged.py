from __future__ import annotations
from scripted_cluster import FakeCluster
from served import Served


async def test_hi(cluster: FakeCluster, served: Served) -> None:
    c = await served.connect()
    await c.expect_none() if 0 else None
    assert await c.call("SET", "a", "1") == b"+OK\r\n"
    assert await c.call("GET", "a") == b"$1\r\n1\r\n"
