"""What a node says of its replication, read from INFO: a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.control.info import info_fields
from proxy.resp.decode import Value


@dataclass(frozen=True, slots=True)
class Replication:
    """One node's."""

    is_replica: bool
    link_up: bool
    """A replica's link to its primary; True of a primary."""
    offset: int
    """Of the replication stream: written, or taken in."""
    heard_s: int | None = None
    """Whole seconds since a replica heard its primary; None: it does not say, or is none."""


def parse_replication(answer: Value) -> Replication | None:
    """Return what INFO replication says; None if it says nothing, as to who may not ask.

    A replica that is loading from its primary has no link.
    """
    if not isinstance(answer, bytes):
        return None
    fields = info_fields(answer)
    is_replica = fields.get(b"role") == b"slave"
    word = fields.get(b"slave_repl_offset" if is_replica else b"master_repl_offset", b"")
    if b"role" not in fields or not word.isdigit():
        return None
    link_up = not is_replica or (
        fields.get(b"master_link_status") == b"up"
        and fields.get(b"master_sync_in_progress") != b"1"
    )
    return Replication(is_replica, link_up, int(word), _heard_s(fields))


def _heard_s(fields: Mapping[bytes, bytes]) -> int | None:
    """Return how long ago the last byte came from the primary, or the link to it went down."""
    for name in (b"master_last_io_seconds_ago", b"master_link_down_since_seconds"):
        word = fields.get(name, b"")
        if word.isdigit():  # -1: see the other one
            return int(word)
    return None


def parse_zone(answer: Value) -> str | None:
    """Return the availability zone that INFO server names; None: it names none."""
    if not isinstance(answer, bytes):
        return None
    word = info_fields(answer).get(b"availability_zone", b"")
    return word.decode("utf-8", "replace") or None
