"""What may be told of keys: a hash, nothing, or all (``log.access_keys``).

Strategy: the hash is keyed with random bytes of this start, so that lines about one key can
be put together and nobody can try names out. 8 bytes: of a million keys, two share a hash
once in forty thousand starts.

Cost: 3 us a key (CPython 3.11, CI machine).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Literal

from proxy.insight.shown import text_of

Manner = Literal["hash", "hide", "show"]

HASH_BYTES = 8
KEYS_SHOWN = 8  # of one request, so that its line stays readable


class KeyWords:
    """Turns keys into what may be told of them.

    Args:
        manner: As ``log.access_keys``; may be changed.
    """

    def __init__(self, manner: Manner) -> None:
        self.manner: Manner = manner
        self._secret = os.urandom(hashlib.blake2b.MAX_KEY_SIZE)

    def of(self, keys: Sequence[bytes]) -> list[str]:
        """Return a word for each of the first ``KEYS_SHOWN`` keys; nothing if they are hidden."""
        if self.manner == "hide":
            return []
        return [self._word(key) for key in keys[:KEYS_SHOWN]]

    def _word(self, key: bytes) -> str:
        if self.manner == "show":
            return text_of(key)
        return hashlib.blake2b(key, key=self._secret, digest_size=HASH_BYTES).hexdigest()
