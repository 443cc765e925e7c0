"""The texts about users and their connections: what law 11 demands of them."""

from __future__ import annotations

import inspect

import pytest

from proxy.resp import replies_lanes as say

TEXTS = {
    "user refused": (
        say.user_refused("10.0.0.5:7000", b"WRONGPASS invalid username-password pair"),
        b"-WRONGPASS 10.0.0.5:7000 does not let this client's user in: invalid username-",
    ),
    "permission unknown": (
        say.permission_unknown(b"client|kill", b"app", b"ERR unknown subcommand"),
        (
            b"-NOPERM the servers do not tell the proxy's user (ACL DRYRUN) whether 'app' may run "
            b"'client|kill': ERR unknown"
        ),
    ),
    "login unchecked": (
        say.login_unchecked(20.0),
        (
            b"-CLUSTERDOWN no node could be asked about this user within the setting "
            b"cluster.request_timeout_s (20)"
        ),
    ),
}


@pytest.mark.parametrize(("frame", "beginning"), TEXTS.values(), ids=TEXTS.keys())
def test_a_text_about_users_names_who_and_why(frame: bytes, beginning: bytes) -> None:
    assert frame.startswith(beginning)
    assert frame.count(b"\r\n") == 1


def test_every_text_about_users_is_explained() -> None:
    functions = [
        function
        for _, function in inspect.getmembers(say, inspect.isfunction)
        if function.__module__ == say.__name__
    ]

    assert len(functions) == len(TEXTS)
    assert all(function.__doc__ for function in functions)
