"""No line can be forged, and no terminal taken over, by what clients and servers say."""

from __future__ import annotations

import json

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.addresses import Address
from proxy.logs.text import TEXT_LIMIT, Harmless, harmless, one_line

FORGERIES = {
    "line feed": "x\n2026-01-01T00:00:00Z [error    ] forged",
    "carriage return": "x\rforged",
    "escape sequence": "x\x1b[2Jforged",
    "line separator": "x\u2028forged",
    "next line": "x\x85forged",
    "right to left": "x\u202eforged",
    "null": "x\x00forged",
    "half a character": "x\udc80forged",
}


@pytest.mark.parametrize("text", FORGERIES.values(), ids=FORGERIES)
def test_what_cannot_be_printed_is_escaped(text: str) -> None:
    shown = one_line(text)

    assert shown.isprintable()
    assert shown.startswith("x\\")
    assert shown.endswith("forged")


@given(st.text())
def test_any_text_becomes_one_line(text: str) -> None:
    assert one_line(text).isprintable()


@given(st.binary())
def test_any_bytes_become_one_line(data: bytes) -> None:
    shown = harmless(data)

    assert isinstance(shown, str)
    assert shown.isprintable()


def test_ordinary_text_stays_as_it_is() -> None:
    assert one_line("Grüße, 世界!") == "Grüße, 世界!"


def test_long_texts_are_cut() -> None:
    assert one_line("x" * 10_000) == "x" * TEXT_LIMIT + "..."
    assert harmless(b"x" * 10_000) == "x" * TEXT_LIMIT


def test_values_keep_their_kind_where_json_has_it() -> None:
    assert harmless(5) == 5
    assert harmless(None) is None
    assert harmless(True) is True
    assert harmless(1.5) == 1.5
    assert harmless([b"a", 1]) == ["a", 1]
    assert harmless(Address("h", 1)) == "h:1"


def render(form: str, **fields: object) -> str:
    line = Harmless(form)(None, "info", {"event": "seen", **fields})
    if form == "json":
        return str(structlog.processors.JSONRenderer()(None, "info", line))
    renderer = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    return str(renderer(None, "info", line))


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("text", FORGERIES.values(), ids=FORGERIES)
def test_a_line_stays_one_line_in_both_forms(form: str, text: str) -> None:
    assert (
        len(render(form, event=text, user=text, key=text.encode("utf-8", "replace")).splitlines())
        == 1
    )


def test_a_field_cannot_look_like_two() -> None:
    assert "user='a node=b'" in render("console", user="a node=b")
    assert json.loads(render("json", user='a","node":"b'))["user"] == 'a","node":"b'


def test_a_traceback_is_indented_for_people_and_one_line_of_json() -> None:
    trace = "Traceback (most recent call last):\n  File x\nValueError: a\n2026 [error] forged\x1b"

    for_people = render("console", exception=trace)
    as_json = render("json", exception=trace)

    assert all(line.startswith("    ") for line in for_people.splitlines()[1:])
    assert "\x1b" not in for_people
    assert json.loads(as_json)["exception"] == trace
    assert len(as_json.splitlines()) == 1
