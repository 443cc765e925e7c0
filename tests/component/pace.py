"""How much slower than usual everything is, for what tests give a time: ``SLOTWAY_TEST_PACE``.

``make sanitize`` sets it, because the data plane and Python's allocator take several times as long
there. Whatever a test waits for at most, and how often a proxy looks after its nodes, is stretched
by it; what is measured is not.
"""

from __future__ import annotations

import os

PACE = float(os.environ.get("SLOTWAY_TEST_PACE", "1"))
