"""The access log: one line for a request, for one in so many of those that are sampled.

Strategy: written from the data plane's sample when the request was answered, whatever
``log.level`` says and without the limit on lines of one kind, for somebody has asked for it;
what bounds it is sampling, and the log's queue. Arguments other than keys never appear.

Cost: 0.1 ms a line in the data plane's task (CPython 3.11, CI machine), for one request in
``insight.sample_every`` times ``log.access_every``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.logs.keys import KeyWords
from proxy.logs.setup import requested_lines

if TYPE_CHECKING:
    from proxy.dataplane.client import Client
    from proxy.dataplane.sample import Sample

REDIRECTS = frozenset({"moved", "ask"})
NODES_TOLD = 8


class AccessLog:
    """A consumer of samples that writes lines.

    Args:
        every: Write one in so many, 0 none; may be changed.
        words: What is told of keys.
        node_name: Returns the address of a node's number.
        user_of: Returns the name that a client has logged in with.
    """

    def __init__(
        self,
        *,
        every: int,
        words: KeyWords,
        node_name: Callable[[int], str | None],
        user_of: Callable[[Client], bytes],
    ) -> None:
        self.every = every
        self._seen = 0
        self._words = words
        self._node_name = node_name
        self._user_of = user_of
        self._log = requested_lines()

    def __call__(self, sample: Sample) -> None:
        """Write a line about this request, if it is its turn."""
        self._seen += 1
        if self.every and self._seen % self.every == 0:
            self._log.info("request", **self._fields(sample))

    def _fields(self, sample: Sample) -> dict[str, object]:
        parts = sample.parts
        shares_s = [
            part.answered_s - part.sent_s
            for part in parts
            if part.sent_s is not None and part.answered_s is not None
        ]
        nodes = list(dict.fromkeys(part.node for part in parts if part.node >= 0))
        kinds = [event.kind for event in sample.events]
        fields: dict[str, object] = {
            "client": sample.client_id,
            "address": sample.client.address,
            "user": self._user_of(sample.client),
            "command": sample.command,
            "keys": self._words.of(sample.keys),
            "slot": parts[0].slot if len(parts) == 1 and parts[0].slot >= 0 else None,
            "node": ",".join(filter(None, map(self._node_name, nodes[:NODES_TOLD]))),
            "parts": len(parts),
            "ms": round(1000 * sample.duration_s, 3),
            "node_ms": round(1000 * max(shares_s), 3) if shares_s else None,
            "redirects": sum(kind in REDIRECTS for kind in kinds),
            "resends": kinds.count("resent"),
            "request_bytes": sample.frame_bytes,
            "reply_bytes": sample.reply_bytes,
            "outcome": _outcome(sample),
        }
        return {key: value for key, value in fields.items() if value not in (None, "", [])}


def _outcome(sample: Sample) -> str | bytes:
    """Return ``ok``, the error reply's first word, or that the client went away before."""
    if not sample.is_answered:
        return "client left"
    return sample.error or "ok"
