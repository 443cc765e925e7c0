"""The line that a proxy starts with: what it is, where it is, and what it stands before.

Strategy: one line that can be read at once. Of the settings only the names of those that
somebody has set, for their values may be secrets and are long.
"""

from __future__ import annotations

from proxy.cluster.topology import Topology
from proxy.config import Settings
from proxy.config.values import Table
from proxy.version import find_version

SEEDS_TOLD = 3
# What the line says anyway.
SAID = frozenset(
    {
        "listen.address",
        "listen.port",
        "listen.unix_socket",
        "admin.address",
        "admin.port",
        "cluster.seeds",
    }
)


def start_facts(
    settings: Settings,
    *,
    port: int,
    tls_port: int = 0,
    admin_port: int | None,
    server: tuple[bytes, bytes],
    topology: Topology | None,
) -> dict[str, object]:
    """Return the fields of the line.

    Args:
        port: Where clients connect.
        tls_port: Where those with TLS do, which may be the same; 0: nowhere.
        admin_port: The admin port; None: there is none.
        server: What the nodes are, name and version.
        topology: The map in use.
    """
    seeds, listen = settings.cluster.seeds, settings.listen
    over_tcp = [f"{listen.address}:{port}"] if listen.address and port != tls_port else []
    over_tls = [f"tls://{listen.address}:{tls_port}"] if listen.address and tls_port else []
    more = f" and {len(seeds) - SEEDS_TOLD} more" if len(seeds) > SEEDS_TOLD else ""
    return {
        "version": find_version() or "unknown",
        "address": ", ".join(
            place for place in (*over_tcp, *over_tls, listen.unix_socket) if place
        ),
        "admin": "none" if admin_port is None else f"{settings.admin.address}:{admin_port}",
        "server": b" ".join(server),
        "primaries": len(topology.primaries) if topology else 0,
        "nodes": len(topology.nodes) if topology else 0,
        "seeds": ", ".join(seeds[:SEEDS_TOLD]) + more,
        "set": ", ".join(changed_keys(settings)) or "nothing else",
    }


def changed_keys(settings: Settings) -> list[str]:
    """Return the keys whose value is not the default, but those that the line has anyway."""
    default = Settings()
    found: list[str] = []
    for table in Settings.model_fields:
        given, usual = getattr(settings, table), getattr(default, table)
        if isinstance(given, Table):
            found += [
                f"{table}.{name}"
                for name in type(given).model_fields
                if getattr(given, name) != getattr(usual, name)
            ]
        elif given != usual:
            found.append(table)
    return [key for key in found if key not in SAID]
