"""Replies to COMMAND as the servers sent them (tools/make_snapshot.py --wire writes the files)."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache
from pathlib import Path

import hiredis
import pytest

REPLIES = Path(__file__).parent / "replies"
REDIS = "redis-7.0.15"
VALKEY = "valkey-9.1.2"


@cache
def read_reply(engine: str, resp: int = 2) -> object:
    """Return the value that hiredis makes of the captured reply."""
    reader = hiredis.Reader()
    reader.feed(gzip.decompress((REPLIES / f"{engine}.resp{resp}.gz").read_bytes()))
    return reader.gets()


@pytest.fixture(params=[REDIS, VALKEY])
def engine(request: pytest.FixtureRequest) -> str:
    """Return the name of an engine; the test runs once for each."""
    return request.param


@pytest.fixture
def reply_of() -> Callable[..., object]:
    """Return the function that reads a captured reply: ``reply_of(engine, resp=2)``."""
    return read_reply


@pytest.fixture
def redis_reply() -> object:
    """Return what Redis 7.0.15 answers to COMMAND, over RESP2."""
    return read_reply(REDIS)


@pytest.fixture
def valkey_reply() -> object:
    """Return what Valkey 9.1 answers to COMMAND, over RESP2."""
    return read_reply(VALKEY)
