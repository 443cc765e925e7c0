"""The lines of MONITOR: how bytes are written, and what nobody may read."""

from __future__ import annotations

import pytest

from proxy.sessions.monitor import describe, redact


@pytest.mark.parametrize(
    ("arg", "written"),
    [
        (b"", b'""'),
        (b"plain ~!#", b'"plain ~!#"'),
        (b'say "hi"', b'"say \\"hi\\""'),
        (b"back\\slash", b'"back\\\\slash"'),
        (b"\n\r\t\a\b", b'"\\n\\r\\t\\a\\b"'),
        (b"\x00\x1f\x7f\x80\xff", b'"\\x00\\x1f\\x7f\\x80\\xff"'),
        (b"'", b'"\'"'),
    ],
)
def test_an_argument_is_written_as_servers_write_it(arg: bytes, written: bytes) -> None:
    line = describe([arg], microseconds=1_339_518_083_107_412, source=b"[::1]:7", database=3)

    assert line == b"+1339518083.107412 [3 [::1]:7] %b\r\n" % written


def test_the_time_has_six_places() -> None:
    line = describe([b"keys", b"*"], microseconds=5_000_007, source=b"a:1", database=0)

    assert line == b'+5.000007 [0 a:1] "keys" "*"\r\n'


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"AUTH secret", b"AUTH (redacted)"),
        (b"AUTH bob secret", b"AUTH (redacted) (redacted)"),
        (b"AUTH bob secret more", b"AUTH (redacted) (redacted) (redacted)"),
        (b"AUTH", b"AUTH"),
        (b"HELLO", b"HELLO"),
        (b"HELLO 3", b"HELLO 3"),
        (b"HELLO 3 auth bob secret SETNAME x", b"HELLO 3 auth (redacted) (redacted) SETNAME x"),
        (b"HELLO 3 SETNAME x AUTH bob", b"HELLO 3 SETNAME x AUTH (redacted)"),
        (b"MIGRATE h 1 k 0 1 AUTH secret", b"MIGRATE h 1 k 0 1 AUTH (redacted)"),
        (
            b"MIGRATE h 1 k 0 1 AUTH2 bob secret KEYS a",
            b"MIGRATE h 1 k 0 1 AUTH2 (redacted) (redacted) KEYS a",
        ),
        (b"SET auth secret", b"SET auth secret"),
    ],
)
def test_secrets_are_not_shown(said: bytes, shown: bytes) -> None:
    words = said.split()

    assert redact(words[0].lower(), words) == shown.split()
