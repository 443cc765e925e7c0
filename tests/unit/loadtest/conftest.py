"""Make the load test's own modules importable, as they are when locust runs them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "loadtest"))
