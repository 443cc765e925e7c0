"""A server whose disk is slow, and which waits for it before it answers a write."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from trial import FAULT_DEADLINE_S, Scene
from workload.values import keys_in

from proxy.embedded import RedisNode, wait_for

SOURCE = Path(__file__).parent / "slow_disk.c"
SYNC_MS = 100
COMPILER = "cc"


def can_be_slow() -> bool:
    """Return whether what makes a disk slow can be compiled here."""
    return shutil.which(COMPILER) is not None


def slow_when_told(directory: Path) -> Mapping[str, str]:
    """Return the environment of servers whose disks can be made slow; compiled into a directory."""
    library = directory / "slow_disk.so"
    subprocess.run(
        [COMPILER, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"],
        check=True,
    )
    return {"LD_PRELOAD": str(library)}


@contextmanager
def slow_disk(scene: Scene) -> Iterator[None]:
    """Have a primary write a log of all its writes to a disk that takes its time for each."""
    scene.victim.call("CONFIG", "SET", "appendfsync", "always")
    scene.victim.call("CONFIG", "SET", "appendonly", "yes")
    wait_for(lambda: _has_log(scene.victim), FAULT_DEADLINE_S, "a log of writes")
    brake = scene.victim.directory / "slow_disk"
    brake.write_text(str(SYNC_MS))
    key = next(keys_in(scene.cluster.slots_of(scene.victim), "ballast"))
    started = time.monotonic()
    scene.victim.call("SET", key, "x")
    assert time.monotonic() - started >= SYNC_MS / 1000, "the disk is as fast as ever"
    yield
    brake.unlink()
    scene.victim.call("CONFIG", "SET", "appendonly", "no")
    scene.heal()


def _has_log(node: RedisNode) -> bool:
    state = node.info("persistence")
    return state["aof_enabled"] == "1" and state["aof_rewrite_in_progress"] == "0"
