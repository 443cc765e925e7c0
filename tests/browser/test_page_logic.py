"""What the page computes for itself is right: slots, names of shards, axes, numbers."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from proxy.cluster.slots import key_slot

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "proxy" / "admin" / "page"
TRICKY_KEYS = (b"", b"{}", b"{a}b", b"x{a}", b"{}{a}", b"{a", b"a}b{", b"{{a}}", b"\xff{\x00}\xfe")


def test_the_pure_parts_of_the_page(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("the page's own arithmetic: node is not installed (Debian: nodejs)")
    for script in PAGE.glob("*.js"):
        shutil.copy(script, tmp_path)
    shutil.copy(HERE / "logic.mjs", tmp_path)
    # Node takes a .js file for a module only if a package says so.
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "slots.json").write_text(json.dumps(_keys_with_slots()))

    done = subprocess.run(
        [node, "logic.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=50
    )

    assert done.returncode == 0, done.stdout + done.stderr


def _keys_with_slots() -> list[dict[str, object]]:
    some = random.Random(16384)
    keys = [*TRICKY_KEYS, *(some.randbytes(some.randrange(1, 40)) for _ in range(500))]
    return [{"hex": key.hex(), "slot": key_slot(key)} for key in keys]
