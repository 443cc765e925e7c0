"""ioredis, node-redis and BullMQ, which run in Node.js: scripts in ``node/``, a line a step."""

from __future__ import annotations

import pytest
from applications import SPLIT, Serve, Workers

from proxy.cluster.topology import Address


def _place(address: Address) -> dict[str, str]:
    return {"REDIS_HOST": address.host, "REDIS_PORT": str(address.port)}


def test_ioredis_does_what_it_promises(serve: Serve, workers: Workers) -> None:
    printed = workers.run_node("ioredis.js", **_place(serve(**SPLIT)))

    assert printed.splitlines() == [
        *("pipeline", "transaction", "script", "pub/sub", "blocking", "stream", "scan"),
        *("auto-pipelining", "reconnect"),
    ]


@pytest.mark.parametrize("resp", ["2", "3"])
def test_node_redis_does_what_it_promises(serve: Serve, workers: Workers, resp: str) -> None:
    printed = workers.run_node("node-redis.js", RESP=resp, **_place(serve(**SPLIT)))

    assert printed.splitlines() == [
        *("commands", "automatic pipeline", "transaction", "script", "pub/sub", "blocking"),
        *("stream", "scan"),
    ]


@pytest.mark.parametrize(
    ("settings", "prefix"),
    [({}, "{bull}"), ({"pin": "bull:=bull"}, "")],
    ids=["its own prefix for clusters", "a pin"],
)
def test_bullmq_does_what_it_promises(
    serve: Serve, workers: Workers, settings: dict[str, str], prefix: str
) -> None:
    printed = workers.run_node("bullmq.js", BULL_PREFIX=prefix, **_place(serve(**settings)))

    assert printed.splitlines() == [
        "jobs are done",
        "delays, priorities and retries",
        "a failed job is kept and retried by hand",
        "a scheduler repeats",
        "a flow waits for its children",
        "a queue is paused, drained and obliterated",
    ]
