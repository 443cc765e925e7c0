"""A node that says more to the proxy's own questions than it was asked, or without end."""

from __future__ import annotations

import pytest
from scripted_cluster import FakeCluster
from served import serve, until

from proxy.cluster.addresses import Address
from proxy.control import connection
from proxy.control.connection import Credentials, NodeConnection
from proxy.errors import BackendProtocolError
from proxy.tls.sides import NodeTls


@pytest.mark.parametrize(
    "answer", [b"+OK\r\n+OK\r\n", b"*2147483647\r\n+OK\r\n", b"*-2\r\n"], ids=["two", "long", "bad"]
)
async def test_the_proxy_learns_from_the_others(cluster: FakeCluster, answer: bytes) -> None:
    node = cluster.nodes[0]
    for word in (b"CLUSTER", b"COMMAND", b"INFO"):
        node.always(word, answer=answer)
    quick = {"connect_timeout_s": 0.2, "request_timeout_s": 0.5}

    async with serve(cluster, cluster=quick) as served:
        client = await served.connect()
        await until(lambda: served.proxy.watcher.topology is not None)
        key = cluster.key_of(cluster.nodes[1])
        assert await client.call("SET", key, 1) == b"+OK\r\n"


async def test_an_answer_without_end_is_given_up(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWERS_LIMIT_BYTES", 10_000)
    node = cluster.nodes[0]
    node.once(b"PING", answer=b"$100000\r\n" + b"x" * 20_000)
    node.once(b"PING", answer=b"$9000\r\n" + b"x" * 9_000 + b"\r\n")
    address = Address("127.0.0.1", node.port)

    async with await NodeConnection.open(
        address, Credentials(), NodeTls(), connect_timeout_s=5
    ) as asked:
        with pytest.raises(BackendProtocolError, match="does not end"):
            await asked.ask("PING")
    async with await NodeConnection.open(
        address, Credentials(), NodeTls(), connect_timeout_s=5
    ) as asked:
        assert await asked.ask("PING") == b"x" * 9_000
