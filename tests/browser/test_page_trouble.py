"""Trouble is seen on the dashboard while it lasts: kills, migrations, holes, silence, locks."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

import pytest
import redis
from watched_proxy import WatchedProxy

from proxy.embedded import EmbeddedCluster
from proxy.embedded.migration import close_slots, move_keys, open_slots

pytest.importorskip("playwright", reason="the dashboard in a browser: playwright is not installed")
from playwright.sync_api import Page, expect

Visit = Callable[..., Page]
StartCluster = Callable[..., EmbeddedCluster]
StartWatched = Callable[..., WatchedProxy]
SLOTS = range(100, 110)
TOKEN = "open-sesame-4711"


def test_a_slot_migration_is_seen(
    start_cluster: StartCluster, start_watched: StartWatched, visit: Visit
) -> None:
    cluster = start_cluster(replicas=0)
    watched = start_watched(cluster)
    source, target, bystander = cluster.nodes
    page = visit(watched, allow=("willReadFrequently",))
    slots, news = page.locator("#slots"), page.locator("#slot-news")
    expect(page.locator("#slot-legend li")).to_have_count(3)
    page.get_by_label("Slot or key").fill(str(SLOTS[0]))
    page.get_by_role("button", name="Find").click()
    plain = _cell_colours(page, SLOTS[0])

    open_slots(SLOTS, source, target)

    expect(news).to_contain_text(
        f"10 slots moving: 100-109, from shard 1, {source.address} to shard 2, {target.address}"
    )
    expect(slots).to_have_attribute(
        "aria-valuetext", re.compile(f"moving to shard 2, {target.address}$")
    )
    expect(page.locator("#event-list")).to_contain_text("migration begun")
    assert _cell_colours(page, SLOTS[0]) - plain, "the cell looks as before"

    move_keys(SLOTS, source, target)
    close_slots(SLOTS, source, target, [bystander])

    expect(slots).to_have_attribute(
        "aria-valuetext", re.compile(rf"^slot 100: shard 2, {target.address}, moved")
    )
    expect(news).to_contain_text("10 slots moved a moment ago: 100-109")
    expect(news).not_to_contain_text("moving")


def test_a_killed_primary_is_seen(
    start_cluster: StartCluster, start_watched: StartWatched, visit: Visit
) -> None:
    cluster = start_cluster()
    watched = start_watched(cluster)
    victim, heir = cluster.nodes[0], cluster.nodes[3]
    page = visit(watched)
    node = page.locator("#shards tbody tr")
    expect(node.filter(has_text=str(victim.address)).locator(".health")).to_have_text("connected")
    with redis.Redis(port=watched.process.port) as client:
        client.set("user:12345", "Ada")
        cluster.wait_until_in_sync()

        victim.kill()

        dead = node.filter(has_text=str(victim.address)).locator(".health")
        expect(dead).to_have_class(re.compile("bad"))
        expect(page.locator("#voice")).to_contain_text(str(victim.address))
        assert client.get("user:12345") == b"Ada"

    expect(node.filter(has_text=str(heir.address)).locator('[data-label="Role"]')).to_have_text(
        "primary"
    )
    events = page.locator("#event-list li")
    expect(events.filter(has_text="failover").first).to_contain_text(str(heir.address))
    expect(page.locator("#timeline path.error, #timeline path.warning").first).to_be_attached()
    expect(
        page.locator("#chart-requests .marks .warning, #chart-requests .marks .error").first
    ).to_be_attached()
    # The shard is the same one, with another primary: its number and colour have stayed.
    expect(page.locator("#slot-legend li").first).to_have_text(re.compile(f"^1{heir.address}"))

    page.locator("#happened label").get_by_text("errors").click()
    expect(page.locator("#event-list li:not(.error)")).to_have_count(0)


def test_a_hole_in_the_slots_is_seen(
    start_cluster: StartCluster, start_watched: StartWatched, visit: Visit
) -> None:
    cluster = start_cluster(replicas=0, settings={"cluster-require-full-coverage": "no"})
    page = visit(start_watched(cluster, cluster__refresh_interval_s="0.5"))
    expect(page.locator("#ready")).to_have_text("ready")

    for node in cluster.nodes:
        node.call("CLUSTER", "DELSLOTSRANGE", SLOTS[0], SLOTS[-1])

    expect(page.locator("#ready")).to_have_text("not ready")
    expect(page.locator("#not-ready")).to_contain_text("10 of 16384 slots have no owner")
    expect(page.locator("#slot-news")).to_contain_text("Nobody has slot 100-109")
    expect(page.locator("#map-facts")).to_contain_text("16,374 of 16,384 slots covered")


def test_silence_is_said_and_ends_by_itself(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched, allow=("Failed to load resource",))
    expect(page.locator("#connection")).to_have_text("live")

    os.kill(watched.process.pid, signal.SIGSTOP)
    try:
        expect(page.locator("#silent")).to_be_visible()
        expect(page.locator("#silent")).to_contain_text("The proxy does not answer since")
        expect(page.locator("#connection")).to_have_text("no answer")
        expect(page.locator("#ready")).to_have_text("unknown")
    finally:
        os.kill(watched.process.pid, signal.SIGCONT)

    expect(page.locator("#silent")).to_be_hidden()
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("#ready")).to_have_text("ready")


def test_a_proxy_that_was_started_anew_is_shown_anew(
    page_cluster: EmbeddedCluster, start_watched: StartWatched, visit: Visit
) -> None:
    watched = start_watched(page_cluster)
    # What was under way when the proxy ended is reset, what came later refused.
    page = visit(watched, allow=("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET"))
    expect(page.locator("#connection")).to_have_text("live")
    with redis.Redis(port=watched.process.port) as client:
        for _ in range(100):
            client.get("before")
    expect(page.locator("#hot-keys", has_text="before")).to_be_visible()

    watched.process.stop()
    expect(page.locator("#connection")).to_have_text("no answer")
    watched.process.start()

    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("#hot-keys", has_text="before")).to_be_hidden()
    expect(page.locator("#event-list li", has_text="map changed")).to_have_count(1)


def test_a_hidden_page_asks_nothing(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched, before=lambda page: page.clock.install())
    expect(page.locator("#connection")).to_have_text("live")
    asked: list[str] = []
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""

    page.evaluate(hide, True)
    expect(page.locator("#connection")).to_have_text("paused")
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert not asked

    page.evaluate(hide, False)
    page.clock.run_for(1000)
    expect(page.locator("#connection")).to_have_text("live")
    assert asked


def test_the_reader_can_hold_the_page_still(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched, before=lambda page: page.clock.install())
    expect(page.locator("#connection")).to_have_text("live")
    asked: list[str] = []

    page.get_by_role("button", name="Hold still").press("Space")
    expect(page.locator("#connection")).to_have_text("paused")
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert not asked

    page.get_by_role("button", name="Hold still").press("Space")
    page.clock.run_for(1000)
    expect(page.locator("#connection")).to_have_text("live")


def test_who_has_no_token_is_asked_for_it(
    page_cluster: EmbeddedCluster, start_watched: StartWatched, visit: Visit
) -> None:
    watched = start_watched(page_cluster, admin__address="0.0.0.0", admin__token=TOKEN)
    page = visit(watched, allow=("401",))
    dialog = page.get_by_role("dialog", name="A token is wanted")
    token = page.get_by_label("The value of admin.token")

    expect(dialog).to_be_visible()
    token.fill("a guess")
    token.press("Enter")
    expect(page.locator("#token-why")).to_have_text("That token was not the right one.")
    token.fill(TOKEN)
    token.press("Enter")

    expect(dialog).to_be_hidden()
    expect(page.locator("#locked")).to_be_hidden()
    row = page.locator("#settings tbody tr", has_text="admin.token").first
    expect(row.locator('[data-label="Value"]')).to_contain_text("***")
    assert TOKEN not in page.content()
    page.reload()
    expect(page.locator("#settings tbody tr").first).to_be_attached()
    expect(dialog).to_be_hidden()


def test_who_wants_no_token_sees_what_everybody_may(
    page_cluster: EmbeddedCluster, start_watched: StartWatched, visit: Visit
) -> None:
    watched = start_watched(page_cluster, admin__address="0.0.0.0", admin__token=TOKEN)
    page = visit(watched, allow=("401",))

    page.get_by_role("button", name="Go on without").click()

    expect(page.locator("#locked")).to_be_visible()
    expect(page.locator("#slot-legend li")).to_have_count(3)
    expect(page.locator("#hot-keys-how")).to_contain_text("admin.token")
    expect(page.get_by_role("dialog")).to_be_hidden()


def _cell_colours(page: Page, slot: int) -> set[tuple[int, ...]]:
    """Return the colours of the pixels of one cell of the slot map."""
    found = page.evaluate(
        """(slot) => {
            const canvas = document.getElementById("slots");
            const cell = canvas.width / 128;
            const [x, y] = [(slot % 128) * cell, Math.floor(slot / 128) * cell];
            const pixels = canvas.getContext("2d").getImageData(x, y, cell, cell).data;
            const starts = [...pixels.keys()].filter((index) => index % 4 === 0);
            return starts.map((start) => [...pixels.slice(start, start + 3)]);
        }""",
        slot,
    )
    return {tuple(pixel) for pixel in found}
