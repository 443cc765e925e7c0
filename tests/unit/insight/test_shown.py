"""Bytes as text, and views as JSON: nothing is lost, and nothing takes over a terminal."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.addresses import Address
from proxy.insight.shown import as_json, text_of

SHOWN = {
    "plain": (b"user:1", "user:1"),
    "empty": (b"", ""),
    "a blank": (b"a b", "a b"),
    "letters of other scripts": ("schlüssel:鍵".encode(), "schlüssel:鍵"),
    "not UTF-8": (b"a\xffb", r"a\xffb"),
    "a character cut in two": ("é".encode()[:1], r"\xc3"),
    "a colour for the terminal": (b"\x1b[31mred", r"\x1b[31mred"),
    "a line end": (b"a\r\nb", r"a\x0d\x0ab"),
    "text that runs backwards": ("a\u202eb".encode(), r"a\xe2\x80\xaeb"),
    "a backslash": (b"a\\b", r"a\\b"),
    "what looks like an escape": (rb"\xff", r"\\xff"),
}


@pytest.mark.parametrize(("data", "text"), SHOWN.values(), ids=SHOWN.keys())
def test_bytes_are_shown_as_text(data: bytes, text: str) -> None:
    assert text_of(data) == text


def bytes_of(text: str) -> bytes:
    """Take back what ``text_of`` has done."""
    return re.sub(
        rb"\\(?:x([0-9a-f]{2})|\\)",
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"\\",
        text.encode(),
    )


@given(st.binary() | st.text().map(str.encode))
def test_no_two_keys_look_alike_and_all_can_be_printed(data: bytes) -> None:
    text = text_of(data)

    assert text.isprintable()
    assert bytes_of(text) == data


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    key: bytes
    share: float | None


@dataclass(frozen=True)
class Outer:
    colour: Colour
    inner: tuple[Inner, ...]
    by_name: dict[str, int]


def test_a_view_becomes_what_json_has() -> None:
    view = Outer(Colour.RED, (Inner(b"\xff", 0.1234567891), Inner(b"b", math.inf)), {"a": 1})

    assert json.loads(json.dumps(as_json(view), allow_nan=False)) == {
        "colour": "red",
        "inner": [{"key": r"\xff", "share": 0.123457}, {"key": "b", "share": None}],
        "by_name": {"a": 1},
    }


class Range:
    def shown(self) -> dict[str, object]:
        return {"at": Address("::1", 7000), "slots": "0-99"}


def test_a_value_may_say_how_it_is_shown() -> None:
    assert as_json((Range(),)) == [{"at": "[::1]:7000", "slots": "0-99"}]


def test_what_is_no_views_is_refused() -> None:
    with pytest.raises(TypeError):
        as_json(object())
