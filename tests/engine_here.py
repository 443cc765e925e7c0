"""The engine that a test runs on, if it is on this machine."""

from __future__ import annotations

import pytest

from proxy.embedded import EngineMissing, find_engine


def engine_here(name: str) -> str:
    """Return the name of an engine that is on this machine; skip the test if it is not."""
    try:
        find_engine(name)
    except EngineMissing as problem:
        pytest.skip(str(problem))
    return name


# For what no server has a part in. As a mark and not as a fixture of the same name: session-wide
# fixtures that were made for the one would be given to those who want the other.
ON_ONE_ENGINE = pytest.mark.parametrize("engine", ["valkey"], indirect=True)
