"""Rows of the real command table, for tests of transactions."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import hiredis

from proxy.commands.spec import CommandSpec
from proxy.commands.table import compile_table
from proxy.dataplane.tables import CommandTable
from proxy.sessions.transaction_queue import TransactionQueue, TransactionRules

REPLIES = Path(__file__).parents[1] / "commands" / "replies"
STRICT = TransactionRules()
SPLIT = TransactionRules(may_split=True)


@cache
def table(engine: str = "valkey-9.1.2") -> CommandTable:
    """Return the table of an engine."""
    reader = hiredis.Reader()
    reader.feed(gzip.decompress((REPLIES / f"{engine}.resp2.gz").read_bytes()))
    return CommandTable(compile_table(reader.gets()))


def spec_of(line: str) -> CommandSpec:
    """Return the row of a request."""
    row, _ = table().key_places(*words(line))
    assert row is not None
    return row.spec


def words(line: str) -> list[bytes]:
    """Return a request as its words."""
    return line.encode().split()


def places_of(line: str) -> list[int]:
    """Return which words of a request are keys."""
    return table().key_places(*words(line))[1]


def queued(queue: TransactionQueue, line: str) -> bytes:
    """Queue a request and return what the client hears."""
    return queue.add(spec_of(line), words(line), places_of(line))


def queue_of(
    rules: TransactionRules, *lines: str, watched_slot: int | None = None
) -> TransactionQueue:
    """Return a queue with these requests in it."""
    queue = TransactionQueue(rules, watched_slot)
    for line in lines:
        assert queued(queue, line) == b"+QUEUED\r\n", line
    return queue
