"""The lines of MONITOR: how bytes are written."""

from __future__ import annotations

import pytest

from proxy.sessions.monitor import describe


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
