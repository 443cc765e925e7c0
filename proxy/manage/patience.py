"""Wait for what the nodes have to settle among themselves, and say what is missing.

Strategy: look, and look again after a pause that doubles from ten milliseconds to a quarter
of a second; whoever waits gets the reason why the last look was not enough.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from proxy.manage.errors import NotInTime

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.25  # chosen: gossip goes round once a second
AGREEMENT_DEADLINE_S = 60.0  # chosen: four of the default node timeouts (15 s)


def wait_until_none(
    missing: Callable[[], str | None], deadline_s: float = AGREEMENT_DEADLINE_S
) -> None:
    """Call ``missing`` until it returns None.

    Raises:
        NotInTime: It does not; the message says what it returned at last. What it raises
            itself passes through.
    """
    deadline = time.monotonic() + deadline_s
    pause_s = FIRST_PAUSE_S
    while (reason := missing()) is not None:
        if time.monotonic() >= deadline:
            raise NotInTime(f"not within {deadline_s:g} s: {reason}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
