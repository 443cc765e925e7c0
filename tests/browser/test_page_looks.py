"""The dashboard can be read: in both themes, by keyboard, on a phone, by colour-blind people."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
import redis
from colour_vision import CONFUSIONS, difference, seen_by
from watched_proxy import WatchedProxy

pytest.importorskip("playwright", reason="the dashboard in a browser: playwright is not installed")
from playwright.sync_api import Page, Route, expect

Visit = Callable[..., Page]
THEMES = ("light", "dark")
MIN_CONTRAST = 4.5  # WCAG 2.2, 1.4.3, level AA
MIN_DIFFERENCE = 15.0  # of two shards' colours; in CIE76, 2.3 is just noticeable
SHARD_COLOURS = 8
MANY = 3 * SHARD_COLOURS
MEASURE = (Path(__file__).parent / "looks.js").read_text()


def visit_full(visit: Visit, watched: WatchedProxy, **how: object) -> Page:
    """Open the page and wait until every part has something to show."""
    with redis.Redis(port=watched.process.port) as client:
        for number in range(300):
            client.get(f"key:{number % 7}")
        client.set("big", "x" * 5000)
        client.eval("local n = 0; for i = 1, 2e6 do n = n + i end; return n", 1, "slow")
        page = visit(watched, **how)
        for part in ("#hot-keys", "#big-keys", "#slow-log", "#clients", "#settings", "#shards"):
            expect(page.locator(f"{part} tbody tr").first).to_be_attached()
        expect(page.locator("#event-list li").first).to_be_attached()
    return page


@pytest.mark.parametrize("theme", THEMES)
def test_all_text_stands_out_from_what_is_behind_it(
    watched: WatchedProxy, visit: Visit, theme: str
) -> None:
    page = visit_full(visit, watched, theme=theme)

    texts = page.evaluate(MEASURE)

    assert len(texts) > 200
    faint = {
        text["text"]: round(text["ratio"], 2) for text in texts if text["ratio"] < MIN_CONTRAST
    }
    assert not faint


@pytest.mark.parametrize("theme", THEMES)
def test_the_numbers_of_many_shards_stand_out_too(
    watched: WatchedProxy, visit: Visit, theme: str
) -> None:
    page = visit(watched, theme=theme, before=_multiply_the_shards)
    expect(page.locator("#slot-legend .swatch")).to_have_count(MANY)

    texts = page.evaluate(MEASURE)

    ratios = {text["text"]: text["ratio"] for text in texts if text["text"].isdecimal()}
    faint = {number: ratio for number, ratio in ratios.items() if ratio < MIN_CONTRAST}
    assert len(ratios) >= MANY
    assert not faint


@pytest.mark.parametrize("theme", THEMES)
def test_shards_are_told_apart_with_any_kind_of_colour_vision(
    watched: WatchedProxy, visit: Visit, theme: str
) -> None:
    page = visit(watched, theme=theme)

    colours = [_colour(page, f"--shard-{number}") for number in range(1, SHARD_COLOURS + 1)]

    for vision in CONFUSIONS:
        seen = [seen_by(vision, colour) for colour in colours]
        alike = {
            (one + 1, other + 1): round(difference(seen[one], seen[other]), 1)
            for one, other in combinations(range(SHARD_COLOURS), 2)
            if difference(seen[one], seen[other]) < MIN_DIFFERENCE
        }
        assert not alike, vision


@pytest.mark.parametrize("width", [320, 390, 768, 1024])
def test_nothing_scrolls_sideways(watched: WatchedProxy, visit: Visit, width: int) -> None:
    with redis.Redis(port=watched.process.port) as client:
        for _ in range(300):
            client.get("k" * 10_240)

    page = visit_full(visit, watched, size=(width, 700))

    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = page.evaluate(
        """() => [...document.querySelectorAll("main *")]
            .filter((one) => !one.closest(".unseen, thead, [hidden]") && innerWidth < 720)
            .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
            .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert not wide


def test_the_theme_is_switched_and_kept(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched, theme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    bright = page.evaluate(ground)

    page.get_by_role("button", name="Show the page dark").press("Enter")

    dark = page.evaluate(ground)
    assert dark != bright
    page.reload()
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="Show the page light").click()
    assert page.evaluate(ground) == bright


def test_the_first_tab_stop_skips_to_the_content(watched: WatchedProxy, visit: Visit) -> None:
    page = visit(watched)
    expect(page.locator("#connection")).to_have_text("live")

    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")

    expect(page.locator("#main")).to_be_focused()


def test_every_tab_stop_has_a_name_and_shows_its_focus(watched: WatchedProxy, visit: Visit) -> None:
    page = visit_full(visit, watched)
    seen: list[str] = []
    for _ in range(200):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => {
                const one = document.activeElement;
                if (one === document.body) return null;
                const label = one.labels?.[0]?.textContent.trim();
                const name = one.getAttribute("aria-label") || label || one.textContent.trim();
                const shown = one.matches("input[type=radio]") ? one.nextElementSibling : one;
                return { name, tag: one.tagName, outline: getComputedStyle(shown).outlineStyle };
            }"""
        )
        if stop is None:
            break
        assert stop["name"], stop
        assert stop["outline"] != "none", stop
        seen.append(stop["name"])

    assert stop is None, "the focus never leaves the page"
    order = [
        "Skip to the content",
        "Overview",
        "Slot map",
        "Slot or key",
        "Filter clients",
        "Command",
    ]
    places = [seen.index(name) for name in order]
    assert places == sorted(places)


def test_what_matters_has_a_role_and_a_name(watched: WatchedProxy, visit: Visit) -> None:
    page = visit_full(visit, watched)

    for name in ("Events", "Shards", "Slow log", "Hot keys", "Big keys", "Clients", "Settings"):
        expect(page.get_by_role("region", name=name, exact=True).first).to_be_attached()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_attached()
    expect(page.get_by_role("slider", name="Slot map")).to_be_attached()
    expect(page.get_by_role("table", name="Hot keys")).to_be_attached()
    expect(page.get_by_role("img", name=re.compile("^Timeline"))).to_be_attached()
    expect(page.locator("#voice")).to_have_attribute("aria-live", "polite")


def _multiply_the_shards(page: Page) -> None:
    """Have the page shown as many shards as it has colours and shades, each a copy of the first."""

    def answer(route: Route) -> None:
        response = route.fetch()
        topology = response.json()
        step = 16384 // MANY
        first = json.dumps(topology["shards"][0])
        topology["shards"] = [json.loads(first) for _ in range(MANY)]
        for number, shard in enumerate(topology["shards"]):
            shard["ranges"] = [[number * step, (number + 1) * step - 1]]
            for node in (shard["primary"], *shard["replicas"]):
                node["id"] += str(number)
        route.fulfill(response=response, json=topology)

    page.route("**/topology", answer)


def _colour(page: Page, name: str) -> tuple[float, float, float]:
    text = page.evaluate(
        """(name) => {
            const probe = document.createElement("span");
            probe.style.color = `var(${name})`;
            document.body.append(probe);
            return getComputedStyle(probe).color;
        }""",
        name,
    )
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", text)[:3])
    return red, green, blue
