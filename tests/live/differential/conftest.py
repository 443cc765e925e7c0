"""Fixtures and the amount of work of the differential tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from differential.sides import Pair, open_pair
from proxy.embedded import ENGINES, EngineMissing


@pytest.fixture(scope="session", params=ENGINES)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Both sides, of each engine that is installed."""
    try:
        opened = open_pair(request.param)
        with opened as sides:
            yield sides
    except EngineMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def no_traceback(pair: Pair) -> Iterator[None]:
    """Assert after every test that the proxy has logged no traceback."""
    before = pair.proxy_process.tracebacks()
    yield
    assert pair.proxy_process.tracebacks().removeprefix(before) == ""
