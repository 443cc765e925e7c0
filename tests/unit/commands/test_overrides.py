"""Each override and each denial is still needed, and stands there once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.commands.overrides import DENIALS, DENIED_BY_DEFAULT, OVERRIDES, Override
from proxy.commands.spec import Road
from proxy.commands.table import compile_table


def overrides_without(name: bytes) -> list[Override]:
    """Return the overrides as if no line spoke of ``name``."""
    return [
        replace(line, names=tuple(other for other in line.names if other != name))
        for line in OVERRIDES
    ]


@pytest.mark.parametrize("name", [name for line in OVERRIDES for name in line.names])
def test_an_override_is_still_needed(
    name: bytes, redis_reply: object, valkey_reply: object
) -> None:
    others = overrides_without(name)

    assert any(
        compile_table(reply, (), overrides=others) != compile_table(reply, ())
        for reply in (redis_reply, valkey_reply)
    ), f"both engines say the same of {name!r} by themselves"


@pytest.mark.parametrize("name", sorted(DENIED_BY_DEFAULT))
def test_a_name_denied_by_default_is_a_command(
    name: bytes, redis_reply: object, valkey_reply: object
) -> None:
    known = {spec.name for reply in (redis_reply, valkey_reply) for spec in compile_table(reply)}

    assert name in known


def test_each_name_is_overridden_once_and_denied_once_for_a_reason() -> None:
    overridden = [name for line in OVERRIDES for name in line.names]
    denied = [name for line in DENIALS for name in line.names]

    assert len(overridden) == len(set(overridden))
    assert len(denied) == len(set(denied))
    assert all(line.reason.endswith(".") for line in (*OVERRIDES, *DENIALS))


def test_what_is_never_allowed_is_not_in_the_default_of_the_setting() -> None:
    never = {name for line in OVERRIDES if line.road is Road.DENIED for name in line.names}

    assert never == {b"script|debug", b"swapdb"}
    assert DENIED_BY_DEFAULT.isdisjoint({*never, b"psync", b"replconf", b"sync"})
