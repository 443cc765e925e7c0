"""What may differ: a known difference is one, and no tolerance ever swallows an error."""

from __future__ import annotations

import pytest

from differential.sides import Pair
from differential.tolerances import CHANCE, DIFFERENCES, Difference, tolerated
from differential.wire import RawConnection
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda line: line.reason[:40])
def test_a_known_difference_is_still_one(pair: Pair, difference: Difference) -> None:
    pair.start_afresh(with_data=True)
    request = encode_command(*difference.example)

    with RawConnection(pair.server) as server, RawConnection(pair.proxy) as proxy:
        expected, got = server.say(request), proxy.say(request)

    assert tolerated(difference.example, expected, got)
    assert (expected != got) == (pair.engine in difference.engines)


def test_an_error_is_never_near_enough() -> None:
    for tolerance in CHANCE:
        for command in tolerance.commands:
            args = (*command.encode().split(), b"key", tolerance.if_word)
            assert not tolerated(args, b":1\r\n", b"-ERR it failed\r\n"), command
            assert not tolerated(args, b"-ERR one thing\r\n", b"-ERR another\r\n"), command
