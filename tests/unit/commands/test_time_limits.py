"""Which time limit a command has."""

from __future__ import annotations

import pytest

from proxy.commands.patience import PATIENCES, patience_of, setting_of
from proxy.commands.table import snapshot_table
from proxy.config import Settings
from proxy.config.timeouts import Timeouts

ROWS = {spec.name: spec for spec in snapshot_table(())}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"get", "read"),
        (b"mget", "read"),
        (b"set", "write"),
        (b"xread", "read"),
        (b"eval", "script"),
        (b"fcall_ro", "script"),
        (b"evalsha", "script"),
        (b"keys", "admin"),
        (b"flushall", "admin"),
        (b"config|get", "admin"),
    ],
)
def test_the_servers_flags_tell_the_kind(name: bytes, kind: str) -> None:
    assert patience_of(ROWS[name]) == kind


def test_every_kind_has_a_setting_that_exists() -> None:
    dumped = Settings().model_dump()

    for kind in PATIENCES:
        table, _, key = setting_of(kind).partition(".")
        assert key in dumped[table]


def test_what_is_not_set_is_as_any_other() -> None:
    times_s = Timeouts(read_s=2.0, admin_s=90.0).by_kind(20.0)

    assert times_s == {"request": 20.0, "read": 2.0, "write": 20.0, "script": 20.0, "admin": 90.0}
    assert tuple(times_s) == PATIENCES
