"""Helpers of other rooms' tests, importable here by their names.

Their folders cannot be put on the path: each has a ``conftest.py``, and the first would be
taken for all.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
# Each after those that it imports.
BORROWED = (
    "http_answer",
    "component/http_asker",
    "component/admin_house",
    "unit/dataplane/switchboard",
    "component/pace",
    "component/fake_node",
    "component/raw_client",
    "component/scripted_cluster",
    "component/served",
)


def borrow() -> None:
    """Load them, unless somebody has."""
    for path in BORROWED:
        name = path.rpartition("/")[2]
        if name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, TESTS / f"{path}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
