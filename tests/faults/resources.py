"""What a proxy holds when nobody is there: memory and descriptors; from /proc."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from proxy.embedded import NodeConnection, NotInTime, ProxyProcess, RedisNode, wait_for

QUIET_DEADLINE_S = 20.0
ALIVE = ("01", "02")  # in /proc/net/tcp: established, or about to be


@dataclass(frozen=True, slots=True)
class Level:
    """How much a process holds."""

    resident_bytes: int
    descriptors: int
    """But for living connections to nodes: it keeps some for whoever may need them next."""

    @classmethod
    def of(cls, proxy: ProxyProcess) -> Self:
        """Look now."""
        process = Path(f"/proc/{proxy.pid}")
        lines = (process / "status").read_text().splitlines()
        kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        connections = _living_connections_to_nodes(process, proxy.port)
        links = []
        for link in (process / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed since
                links.append(str(link.readlink()))
        return cls(kilobytes * 1024, sum(link not in connections for link in links))


def _living_connections_to_nodes(process: Path, own_port: int) -> set[str]:
    """Return the sockets whose connections do not end at the port where the process listens."""
    living = set()
    for table in ("tcp", "tcp6"):
        for line in (process / "net" / table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state in ALIVE and int(local.rpartition(":")[2], 16) != own_port:
                living.add(f"socket:[{inode}]")
    return living


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


def growth_since(before: Level, proxy: ProxyProcess, nodes: Sequence[RedisNode]) -> Level:
    """Return by how much the proxy holds more than before.

    The nodes end all connections first: one that the proxy has forgotten stays half open then.
    """
    after = level_at_rest(proxy)
    for node in nodes:
        node.call("CLIENT", "KILL", "TYPE", "normal")

    def is_back() -> bool:
        nonlocal after
        after = Level.of(proxy)
        return after.descriptors <= before.descriptors

    with suppress(NotInTime):  # the figure says it
        wait_for(is_back, QUIET_DEADLINE_S, "descriptors")
    return Level(
        after.resident_bytes - before.resident_bytes,
        after.descriptors - before.descriptors,
    )
