"""How long hypothesis looks for trouble in the data plane.

``HYPOTHESIS_PROFILE=fuzz`` (``make fuzz``) tries fifty times as many cases as a usual run.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
if profile := os.environ.get("HYPOTHESIS_PROFILE"):
    settings.load_profile(profile)
