"""What the dashboard shows of a healthy cluster and its traffic."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
import redis
from watched_proxy import WatchedProxy

from proxy.cluster.slots import key_slot

pytest.importorskip("playwright", reason="the dashboard in a browser: playwright is not installed")
from playwright.sync_api import Page, expect

Visit = Callable[..., Page]
HOT = b"basket:4711"
# Key names as an enemy would choose them, and how the page writes them.
HOSTILE = {
    b'<img src=x onerror="window.hacked=1">': '<img src=x onerror="window.hacked=1">',
    b"</td><script>window.hacked=1</script>": "</td><script>window.hacked=1</script>",
    b"line\r\nbreak: 1": r"line\x0d\x0abreak: 1",
    b"\xff\xfe\x00not text": r"\xff\xfe\x00not text",
    "turn\u202earound".encode(): r"turn\xe2\x80\xaearound",
    "مفتاح".encode(): "مفتاح",
    b"k" * 10_240: "k" * 80 + "… (1,024 characters or more)",
}


@pytest.fixture
def client(watched: WatchedProxy) -> Iterator[redis.Redis]:
    with redis.Redis(
        port=watched.process.port, client_name="page-test", protocol=2, decode_responses=False
    ) as client:
        yield client


def test_the_page_says_that_all_is_well(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched)

    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("#ready")).to_have_text("ready")
    expect(page.locator("#not-ready")).to_be_hidden()
    expect(page.locator("#map-facts")).to_contain_text("16,384 of 16,384 slots covered")
    expect(page.locator("#slot-legend li")).to_have_count(3)
    expect(page.locator("#identity")).to_contain_text("in front of")


def test_shards_are_shown_with_roles_health_and_lag(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched)

    expect(page.locator("#shards tbody")).to_have_count(3)
    primaries = watched.cluster.primaries()
    for node in watched.cluster.nodes:
        row = page.locator("#shards tbody tr", has_text=str(node.address))
        role = "primary" if node in primaries else "replica"
        expect(row.locator('[data-label="Role"]')).to_have_text(role)
        expect(row.locator(".health")).to_have_text(re.compile("connected|idle"))
    replica = page.locator("#shards tbody tr", has_text="replica").first
    expect(replica.locator('[data-label="Lag"]')).to_have_text(re.compile(r"^(none|\d.* (B|KiB))$"))


def test_a_hot_key_shows(watched: WatchedProxy, visit: Visit, client: redis.Redis) -> None:
    page = visit(watched)
    row = page.locator("#hot-keys tbody tr", has=page.get_by_text(HOT.decode(), exact=True))

    for _ in range(20):
        client.mget([HOT] * 100)
        client.get(HOT)

    expect(row).to_be_visible()
    expect(row.locator('[data-label="Slot"]')).to_have_text(str(key_slot(HOT)))


def test_hostile_keys_are_shown_as_text(
    watched: WatchedProxy, visit: Visit, client: redis.Redis
) -> None:
    for key in HOSTILE:
        client.mget([key] * 200)
        client.set(key, b"v" * 5000)

    page = visit(watched)

    for table in ("#hot-keys", "#big-keys"):
        for shown in HOSTILE.values():
            cell = page.locator(table).get_by_text(shown, exact=True)
            expect(cell).to_be_attached()
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main script").count() == 0


def test_a_hostile_client_name_is_shown_as_text(watched: WatchedProxy, visit: Visit) -> None:
    name = "<b>bold</b>&amp;"
    with redis.Redis(port=watched.process.port, client_name=name) as client:
        client.ping()
        page = visit(watched)

        expect(page.locator("#clients td", has_text=name)).to_be_visible()
        assert page.locator("#clients b").count() == 0


def test_a_slow_request_says_where_the_time_went(
    watched: WatchedProxy, visit: Visit, client: redis.Redis
) -> None:
    page = visit(watched)

    client.eval("local n = 0; for i = 1, 4e6 do n = n + i end; return n", 1, "slow:key")

    row = page.locator("#slow-log tbody tr", has_text="slow:key").first
    expect(row.locator('[data-label="Where"]')).to_have_text(
        re.compile(r"^(9\d|100) % in the node$")
    )
    expect(row.locator('[data-label="Client"]')).to_have_text("page-test")


def test_clients_are_filtered_and_sorted(
    watched: WatchedProxy, visit: Visit, client: redis.Redis
) -> None:
    client.ping()
    with redis.Redis(port=watched.process.port, client_name="busy") as busy:
        for _ in range(50):
            busy.get("x")
        page = visit(watched)
        names = page.locator('#clients tbody [data-label="Name"]')
        expect(page.locator("#clients td", has_text="page-test")).to_be_visible()

        page.get_by_label("Filter clients").fill("BUSY")
        expect(names).to_have_text(["busy"])
        page.get_by_label("Filter clients").fill("nobody has this name")
        expect(page.locator("#who .note").first).to_have_text("None of them matches.")
        page.get_by_label("Filter clients").fill("")

        by_name = page.locator("#clients th", has_text="Name")
        by_name.get_by_role("button").press("Enter")
        expect(by_name).to_have_attribute("aria-sort", "ascending")
        assert names.all_text_contents() == sorted(names.all_text_contents())
        by_name.get_by_role("button").press("Enter")
        expect(by_name).to_have_attribute("aria-sort", "descending")


def test_an_error_is_counted_by_its_class(
    watched: WatchedProxy, visit: Visit, client: redis.Redis
) -> None:
    page = visit(watched)
    total = page.locator("#trouble .part", has_text="Errors that clients got").locator("li b")
    expect(page.locator("#connection")).to_have_text("live")
    before = sum(_number(text) for text in total.all_text_contents())

    client.set("text", "x")
    with pytest.raises(redis.ResponseError):
        client.incr("text")

    expect(total.first).to_be_visible()
    page.wait_for_function(
        "before => [...document.querySelectorAll('#trouble .part:first-child li b')]"
        ".reduce((sum, b) => sum + Number(b.textContent.replaceAll(',', '')), 0) > before",
        arg=before,
    )


def test_charts_draw_the_traffic_and_are_read_by_keyboard(
    watched: WatchedProxy, visit: Visit, client: redis.Redis
) -> None:
    for _ in range(100):
        client.get("x")
    page = visit(watched)
    chart = page.locator("#chart-requests > svg")

    expect(chart.locator("path.line")).to_have_attribute("d", re.compile("^M"))
    expect(chart).to_have_attribute("aria-valuetext", re.compile(r"^now: per second [\d.,k]+/s$"))
    chart.press("ArrowLeft")
    chart.press("ArrowLeft")
    expect(chart).to_have_attribute(
        "aria-valuetext", re.compile(r"^\d+ s ago, at \d\d:\d\d:\d\d: per")
    )
    chart.press("Escape")
    expect(chart).to_have_attribute("aria-valuetext", re.compile("^now: "))


def test_the_slot_map_is_walked_by_keyboard(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched)
    slots, here = page.locator("#slots"), page.locator("#slot-here")
    expect(page.locator("#slot-legend li")).to_have_count(3)

    slots.focus()
    walk = [("Home", 0), ("ArrowRight", 1), ("ArrowDown", 129), ("PageDown", 1153)]
    walk += [("ArrowLeft", 1152), ("ArrowUp", 1024), ("End", 16383), ("ArrowRight", 16383)]
    for key, slot in walk:
        page.keyboard.press(key)
        expect(slots).to_have_attribute("aria-valuenow", str(slot))
        owner = watched.owner(slot)
        expect(slots).to_have_attribute(
            "aria-valuetext", re.compile(rf"slot {slot}: shard \d, {owner}$")
        )
        expect(here).to_contain_text(f"slot {slot}: ")


def test_a_key_is_found_on_the_map(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched)
    expect(page.locator("#slot-legend li")).to_have_count(3)

    page.get_by_label("Slot or key").fill("user:12345")
    page.get_by_role("button", name="Find").click()

    expect(page.locator("#slot-here")).to_contain_text(f"slot 1800: shard 1, {watched.owner(1800)}")


def test_the_map_stands_in_words_too(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched)

    page.get_by_text("The same as a table").click()

    rows = page.locator("#range-rows tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("0-5460")


def test_pointing_at_the_map_names_the_slot(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched)
    expect(page.locator("#slot-legend li")).to_have_count(3)
    box = page.locator("#slots").bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] - 1)

    expect(page.locator("#slot-tip")).to_contain_text("slot 16383: shard 3")


def test_a_command_is_explained(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched)

    page.get_by_role("textbox", name="Command").fill("MGET user:12345 b")
    page.get_by_role("button", name="Explain").click()

    told = page.locator("#explained")
    expect(told.locator(".fate")).to_have_text("Split, one part a slot")
    expect(told).to_contain_text(f"slot 1800, {watched.owner(1800)}")


def test_settings_are_shown_and_filtered(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched)
    rows = page.locator("#settings tbody tr")
    expect(page.locator("#settings", has_text="insight.sample_every")).to_be_visible()

    page.get_by_label("only what was set").check()

    expect(
        rows.filter(has_text="insight.sample_every").locator('[data-label="Value"]')
    ).to_have_text("1")
    expect(rows.filter(has_text="limits.")).to_have_count(0)
    page.get_by_label("Filter settings").fill("sample_every")
    expect(rows.first).to_contain_text("insight.sample_every")


def test_every_view_comes_under_a_strict_policy(watched: WatchedProxy, visit: Visit) -> None:
    policies: dict[str, str] = {}

    def listen(page: Page) -> None:
        page.on(
            "response",
            lambda answer: policies.update(
                {answer.url: answer.headers.get("content-security-policy", "")}
            ),
        )

    page = visit(watched, before=listen)
    expect(page.locator("#settings tbody tr").first).to_be_attached()

    assert policies
    for url, policy in policies.items():
        assert "default-src 'none'" in policy, url
        assert "unsafe" not in policy, url


def _number(text: str) -> int:
    return int(json.loads(text.replace(",", "")))
