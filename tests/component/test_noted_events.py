"""What happens to the proxy itself is told as events."""

from __future__ import annotations

from scripted_cluster import FakeCluster
from served import Served, serve, until


async def test_a_limit_that_was_reached_is_counted_and_told(cluster: FakeCluster) -> None:
    async with serve(cluster, limits={"client_subscription_limit": 1}) as served:
        client = await served.connect_resp3()
        assert (await client.call("SUBSCRIBE", "a", "b")).startswith(b"-ERR limit reached")
        insight = served.proxy.observatory.insight

        await until(lambda: any(event.kind == "limit" for event in insight.events().events))

        (told,) = [event for event in insight.events().events if event.kind == "limit"]
        assert told.text == "client_subscription_limit was reached 1 time"
        (counted,) = insight.stats().limits
        assert (counted.name, counted.total) == ("client_subscription_limit", 1)


async def test_start_reload_and_drain_are_told(served: Served) -> None:
    served.proxy.reload()
    served.proxy.stop("a test")

    events = served.proxy.observatory.insight.events().events

    assert [(event.kind, event.text) for event in events if event.kind != "map_changed"] == [
        ("started", f"listening on port {served.port}"),
        ("reload", "reloaded, and nothing has changed"),
        ("drain", "a test"),
    ]
    assert served.proxy.observatory.insight.readiness().missing == ("the proxy is draining",)


async def test_a_client_that_is_closed_is_told_with_the_reason(cluster: FakeCluster) -> None:
    async with serve(cluster, clients={"idle_timeout_s": 0.05}) as served:
        client = await served.connect()
        await client.expect_end()

        cut = [
            event
            for event in served.proxy.observatory.insight.events().events
            if event.kind == "client_cut"
        ]

    assert len(cut) == 1
    assert "idle" in cut[0].text
