"""What a proxy holds when nobody is there: memory and descriptors, from /proc."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from proxy.embedded import NodeConnection, NotInTime, ProxyProcess, wait_for

QUIET_DEADLINE_S = 20.0
IDLE_DEADLINE_S = 40.0  # the proxy keeps an idle private connection for half of it


@dataclass(frozen=True, slots=True)
class Level:
    """How much a process holds."""

    resident_bytes: int
    descriptors: int

    @classmethod
    def of(cls, proxy: ProxyProcess) -> Self:
        """Look now."""
        process = Path(f"/proc/{proxy.pid}")
        lines = (process / "status").read_text().splitlines()
        kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        return cls(kilobytes * 1024, sum(1 for _ in (process / "fd").iterdir()))


def level_at_rest(proxy: ProxyProcess) -> Level:
    """Return what the proxy holds once all clients have gone.

    Raises:
        NotInTime: They have not.
    """
    with NodeConnection(proxy.address) as us:
        wait_for(
            lambda: len(str(us.call("CLIENT", "LIST")).split("id=")) == 2,
            QUIET_DEADLINE_S,
            "all clients to have gone",
        )
    return Level.of(proxy)


def growth_since(before: Level, proxy: ProxyProcess, allowed: int) -> Level:
    """Return by how much the proxy holds more than before.

    Args:
        allowed: Wait until it has no more than so many descriptors more.
    """
    after = level_at_rest(proxy)

    def is_back() -> bool:
        nonlocal after
        after = Level.of(proxy)
        return after.descriptors <= before.descriptors + allowed

    with suppress(NotInTime):  # the figure says it
        wait_for(is_back, IDLE_DEADLINE_S, "descriptors")
    return Level(
        after.resident_bytes - before.resident_bytes, after.descriptors - before.descriptors
    )
