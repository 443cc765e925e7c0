"""The views of hot and big keys, and the hooks of the data plane that feed them.

Strategy: keys are counted by their stored names, and shown by the clients' own.

Cost: 1 us for each key of a sample (CPython 3.11, CI machine).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from proxy.cluster.slots import key_slot
from proxy.dataplane.engine import Engine
from proxy.dataplane.sample import KEY_LIMIT_BYTES, Sample
from proxy.insight.big_keys import BigKeys
from proxy.insight.hot_keys import COUNTERS_PER_KEY, HotKeys
from proxy.insight.views_requests import BigKey, BigkeysView, HotKey, HotkeysView

BIG_SHOWN = 100


class KeysSight:
    """Watches the keys.

    Args:
        hot_keys: How many of the most used keys are told apart.
        owner: Returns the address of a slot's node, or None.
        show: Returns the name by which clients know a stored key.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        hot_keys: int,
        owner: Callable[[int], str | None],
        show: Callable[[bytes], bytes],
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._show = show
        self._shown = hot_keys
        self._hot = HotKeys(COUNTERS_PER_KEY * hot_keys, time.monotonic())
        self._big = BigKeys()

    def resize(self, hot_keys: int) -> None:
        """Tell so many hot keys apart from now on."""
        self._shown = hot_keys
        self._hot.resize(COUNTERS_PER_KEY * hot_keys)

    def take_sample(self, sample: Sample) -> None:
        """Count the keys of a request (``Engine.on_sample``)."""
        now_s, every = time.monotonic(), self._engine.sample_every
        for key in sample.keys:
            self._hot.add(key, now_s, every)

    def take_big(self, key: bytes, command: bytes, size_bytes: int, is_reply: bool) -> None:
        """Note a big value (``Engine.on_big``)."""
        if key:
            self._big.add(key, size_bytes, command, is_reply=is_reply, at=time.time())

    def hot(self, limit: int | None = None) -> HotkeysView:
        """Return the most used keys, the hottest first."""
        count = self._shown if limit is None else min(limit, self._shown)
        keys = []
        for estimate in self._hot.top(count, time.monotonic()):
            slot = _slot(estimate.key)
            keys.append(
                HotKey(
                    key=self._show(estimate.key),
                    per_s=estimate.per_s,
                    error_per_s=estimate.error_per_s,
                    slot=slot,
                    node=None if slot is None else self._owner(slot),
                )
            )
        return HotkeysView(
            at=time.time(),
            sample_every=self._engine.sample_every,
            samples=self._hot.samples,
            keys=tuple(keys),
        )

    def big(self, limit: int | None = None) -> BigkeysView:
        """Return the keys with big values, the biggest first."""
        keys = []
        for big in self._big.top(BIG_SHOWN if limit is None else limit):
            slot = _slot(big.key)
            keys.append(
                BigKey(
                    key=self._show(big.key),
                    size_bytes=big.size_bytes,
                    command=big.command,
                    is_reply=big.is_reply,
                    at=big.at,
                    count=big.count,
                    slot=slot,
                    node=None if slot is None else self._owner(slot),
                )
            )
        return BigkeysView(
            at=time.time(), threshold_bytes=self._engine.big_reply_bytes, keys=tuple(keys)
        )


def _slot(key: bytes) -> int | None:
    """Return the slot of a key, unless it may have been cut."""
    return key_slot(key) if len(key) < KEY_LIMIT_BYTES else None
