"""Wait for something that other processes do, without guessing how long it takes.

Strategy: look, and look again after a pause that doubles from one millisecond
to twenty. Cost: what happens is noticed at most 20 ms late.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from proxy.embedded.errors import NotInTime

FIRST_PAUSE_S = 0.001
LONGEST_PAUSE_S = 0.02  # chosen: a look at six nodes costs about 5 ms

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T], deadline_s: float, what: str | Callable[[], str] = "the condition"
) -> T:
    """Call ``condition`` until it returns something true, and return that.

    Args:
        condition: Looked at once at the start, and for the last time after the deadline.
        deadline_s: Give up after this many seconds.
        what: For the message; a function is called only when it is needed.

    Raises:
        NotInTime: The deadline passed. Whatever ``condition`` raises passes through.
    """
    deadline = time.monotonic() + deadline_s
    pause_s = FIRST_PAUSE_S
    while not (value := condition()):
        if time.monotonic() >= deadline:
            # A busy machine may have kept us from looking near the deadline.
            if value := condition():
                return value
            subject = what if isinstance(what, str) else what()
            raise NotInTime(f"not within {deadline_s:g} s: {subject}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    return value
