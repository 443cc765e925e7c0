"""Arguments that nobody may read later."""

from __future__ import annotations

import pytest

from proxy.commands.own import own_rows
from proxy.commands.secrets import HIDDEN, has_secrets, hide_secrets
from proxy.commands.table import find_spec, snapshot_table

TABLE = {spec.name: spec for spec in (*snapshot_table(), *own_rows())}


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        (b"AUTH secret", b"AUTH #"),
        (b"auth", b"auth"),
        (b"AUTH bob secret more", b"AUTH # # #"),
        (b"HELLO", b"HELLO"),
        (b"HELLO 3", b"HELLO 3"),
        (b"HELLO 3 SETNAME x AUTH bob", b"HELLO 3 SETNAME x AUTH #"),
        (b"HELLO 3 auth bob secret SETNAME auth", b"HELLO 3 auth # # SETNAME auth"),
        (b"HELLO AUTH AUTH secret", b"HELLO AUTH # #"),
        (b"CONFIG SET a 1 b 2", b"CONFIG SET a # b #"),
        (b"CONFIG GET requirepass", b"CONFIG GET requirepass"),
        (b"CONFIG STE requirepass x", b"CONFIG STE # #"),
        (b"CONFIG", b"CONFIG"),
        (b"ACL SETUSER bob on >secret", b"ACL SETUSER # # #"),
        (b"ACL DELUSER bob", b"ACL DELUSER #"),
        (b"ACL GETUSER bob", b"ACL GETUSER #"),
        (b"MIGRATE h 1 k 0 9 COPY AUTH secret", b"MIGRATE h 1 k 0 9 COPY AUTH #"),
        (b"MIGRATE h 1 k 0 9 auth2 bob secret KEYS k", b"MIGRATE h 1 k 0 9 auth2 # # KEYS k"),
        (b"PROXY CONFIG SET clients.password secret", b"PROXY CONFIG SET clients.password #"),
        (b"PROXY EXPLAIN AUTH bob secret", b"PROXY EXPLAIN AUTH # #"),
        (b"SET auth secret", b"SET auth secret"),
        (b"OAUTH secret", b"OAUTH #"),
    ],
)
def test_secrets_are_hidden(request_: bytes, shown: bytes) -> None:
    args = request_.split()
    spec = find_spec(TABLE, args)

    hidden = hide_secrets(spec, args)

    assert hidden == tuple(shown.replace(b"#", HIDDEN).split())
    assert hidden == tuple(args) or spec is None or has_secrets(spec)
