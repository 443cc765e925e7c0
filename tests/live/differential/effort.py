"""How much the generated tests do: the same small amount each time, or more on demand.

``HYPOTHESIS_PROFILE=fuzz`` looks for new examples, many more of them. Examples
that fail are not shrunk, which would take minutes; ``sides.py`` shortens
dialogues by itself.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

IS_FUZZING = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"

EFFORT = settings(
    max_examples=2000 if IS_FUZZING else 60,
    derandomize=not IS_FUZZING,
    deadline=None,  # servers share the machine with other tests
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=IS_FUZZING,
)
