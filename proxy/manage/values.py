"""Answers as JSON: one way for every value that this room returns.

Strategy: answers are frozen dataclasses of plain values, so that one function turns all
of them into what ``json`` writes; bytes become text in which nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from proxy.cluster.addresses import Address


def as_json(value: object) -> object:
    """Return a value of this room as dicts, lists, strings and numbers.

    Addresses become ``host:port``, bytes become text, as ``text_of`` says.
    """
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, bytes):
        return text_of(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: as_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(as_json(key)): as_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_json(each) for each in value]
    return value


def text_of(data: bytes) -> str:
    """Return bytes as text: UTF-8, and a backslash escape for each byte that is none."""
    return data.decode("utf-8", "backslashreplace")
