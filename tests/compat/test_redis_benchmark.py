"""redis-benchmark: all of its tests, alone and pipelined, without an error."""

from __future__ import annotations

import shutil

import pytest
from applications import Serve, Workers

# Of redis-benchmark 7.0, as it names them.
TESTS = {
    *("PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD"),
    *("HSET", "SPOP", "ZADD", "ZPOPMIN", "MSET (10 keys)"),
    *(f"LRANGE_{number}" for number in (100, 300, 500, 600)),
}


@pytest.mark.parametrize("depth", ["1", "16"])
def test_every_test_runs_without_an_error(serve: Serve, workers: Workers, depth: str) -> None:
    program = shutil.which("redis-benchmark")
    if program is None:
        pytest.skip("redis-benchmark is not installed (Debian: redis-tools)")
    address = serve()

    printed = workers.run(
        *(program, "-h", address.host, "-p", str(address.port), "--csv", "-P", depth),
        *("-n", "2000", "-c", "20", "-r", "1000", "-d", "64"),
    )

    done = [line.split('"')[1].split(" (first")[0] for line in printed.splitlines()[1:]]
    assert {name.split(" (needed")[0] for name in done} >= TESTS, printed
    assert "rror" not in printed
