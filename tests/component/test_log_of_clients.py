"""The limit of clients is told when it is reached and when it is over, not for each client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from scripted_cluster import FakeCluster
from served import serve, until
from structlog.testing import LogCapture

from proxy.resp import replies


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    """What is logged, as the fields that were given."""
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture.entries
    structlog.reset_defaults()


def about_the_limit(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    return [line for line in lines if str(line["event"]).startswith("clients ")]


async def test_a_limit_that_is_reached_and_over_is_two_lines(
    cluster: FakeCluster, lines: list[dict[str, object]]
) -> None:
    async with serve(cluster, listen={"max_clients": 10}) as served:
        inside = [await served.connect() for _ in range(10)]
        for client in inside:
            await client.call("PING")
        for _ in range(7):
            await (await served.connect()).expect(replies.max_clients())
        # One leaves and one comes: no more room than before.
        inside.pop().vanish()
        await until(lambda: len(served.engine.clients) == 9)
        inside.append(await served.connect())
        await inside[-1].call("PING")
        await (await served.connect()).expect(replies.max_clients())

        assert about_the_limit(lines) == [
            {"event": "clients turned away", "log_level": "warning", "limit": 10}
        ]

        for _ in range(5):
            inside.pop().vanish()
        await until(lambda: len(served.engine.clients) == 5)
        await (await served.connect()).call("PING")

        assert about_the_limit(lines)[1:] == [
            {
                "event": "clients let in again",
                "log_level": "info",
                "clients": 6,
                "turned_away": 8,
            }
        ]
