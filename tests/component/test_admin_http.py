"""The admin port's site, asked without a network: health, views, and the page."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from admin_house import READY, House

from proxy.admin.files import FOLDER
from proxy.admin.site import CLIENTS_SHOWN, PIECE


@pytest.fixture
def house() -> House:
    return House()


# ---- health and metrics ---------------------------------------------------------------------


async def test_it_says_that_it_lives(house: House) -> None:
    answer = await house.ask("/livez")

    assert (answer.status, answer.json) == (200, {"alive": True})


async def test_it_says_what_is_missing_until_it_is_ready(house: House) -> None:
    house.readiness = replace(READY, ready=False, missing=("no node has told its commands",))
    before = await house.ask("/readyz")
    house.readiness = READY
    after = await house.ask("/readyz")

    assert (before.status, before.json["missing"]) == (503, ["no node has told its commands"])
    assert (after.status, after.json["ready"]) == (200, True)


async def test_the_scraper_gets_the_format_that_it_asks_for(house: House) -> None:
    answer = await house.ask("/metrics", headers={"accept": "application/openmetrics-text"})

    assert answer.body == b"# application/openmetrics-text\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"


# ---- views ----------------------------------------------------------------------------------

VIEWS = {
    "/topology": "covered_slots",
    "/clients": "total",
    "/slowlog": "threshold_ms",
    "/hotkeys": "samples",
    "/bigkeys": "threshold_bytes",
    "/events": "last",
    "/config": "settings",
    "/explain?q=GET%20a": "fate",
}


@pytest.mark.parametrize(("path", "field"), VIEWS.items(), ids=VIEWS)
async def test_a_view_is_json_that_nobody_keeps(house: House, path: str, field: str) -> None:
    answer = await house.ask(path)

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert field in answer.json


async def test_what_clients_gave_is_shown_as_text_whatever_its_bytes(house: House) -> None:
    answer = await house.ask("/clients")

    assert answer.json["clients"][0]["name"] == "café\\xff"


async def test_a_long_list_is_whole(house: House) -> None:
    house.clients = 2 * PIECE + 1

    answer = await house.ask("/clients?limit=500")

    assert [row["id"] for row in answer.json["clients"]] == list(range(2 * PIECE + 1))
    assert house.asked == [500]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/clients", CLIENTS_SHOWN),
        ("/clients?limit=999999", 10_000),
        ("/events", 0),
        ("/events?after=123456789", 123456789),
        ("/hotkeys", None),
        ("/slowlog?limit=5", 5),
        ("/explain?q=SET%20a%20%22b%20c%22", [b"SET", b"a", b"b c"]),
    ],
)
async def test_a_view_is_asked_for_what_the_query_says(
    house: House, path: str, asked: object
) -> None:
    await house.ask(path)

    assert house.asked == [asked]


@pytest.mark.parametrize(
    "path",
    [
        "/events?after=-1",
        "/events?after=x",
        "/clients?limit=1e3",
        "/clients?limit=" + "9" * 4000,
        "/explain",
        "/explain?q=GET%20%22a",
    ],
)
async def test_a_query_that_makes_no_sense_is_refused_in_words(house: House, path: str) -> None:
    answer = await house.ask(path)

    assert answer.status == 400
    assert "must be" in answer.json["error"]
    assert house.asked == []


# ---- the page -------------------------------------------------------------------------------


async def test_the_page_and_its_files_come_with_a_policy_that_lets_nothing_else_in(
    house: House,
) -> None:
    page = await house.ask("/")
    files = [await house.ask(f"/page/{path.name}") for path in sorted(FOLDER.iterdir())]

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert {answer.status for answer in files} == {200}
    assert {answer.headers["x-content-type-options"] for answer in files} == {"nosniff"}


async def test_nothing_in_the_page_comes_from_elsewhere() -> None:
    texts = [path.read_text() for path in FOLDER.iterdir()]
    # A namespace is a name; a link leads somewhere only if somebody follows it.
    outside = [
        found
        for text in texts
        for found in re.findall(r"""(?:src|url|import|fetch)\b[^\n]{0,20}(?:https?:)?//\S+""", text)
    ]

    assert outside == []


async def test_a_file_that_the_browser_has_is_not_sent_again(house: House) -> None:
    first = await house.ask("/page/icon.svg")

    again = await house.ask("/page/icon.svg", headers={"if-none-match": first.headers["etag"]})

    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert first.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/page/../site.py", "/page/site.py", "/page/", "/page/%2e%2e", "/nothing"]
)
async def test_no_path_leads_anywhere_else(house: House, path: str) -> None:
    answer = await house.ask(path)

    assert answer.status == 404
    assert "error" in answer.json
