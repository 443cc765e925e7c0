"""What clients take the proxy for: whose word counts at the door."""

from __future__ import annotations

from proxy.config import Settings
from proxy.control.doorman import Doorman
from proxy.control.pools import Pools
from proxy.control.watch import Watcher
from proxy.sessions.accounts import Accounts, PassedUsers
from proxy.sessions.passwords import PasswordBook
from proxy.tls.sides import NodeTls


def open_accounts(
    settings: Settings, watcher: Watcher, pools: Pools, node_tls: NodeTls
) -> Accounts:
    """Return who may come in: users of the settings, or of the servers."""
    cluster = settings.cluster
    if settings.clients.acl != "pass":
        return PasswordBook({})
    doorman = Doorman(
        topology=lambda: watcher.topology,
        suspect=watcher.suspect,
        tls=node_tls,
        connect_timeout_s=cluster.connect_timeout_s,
        timeout_s=cluster.request_timeout_s,
    )
    return PassedUsers(doorman, pools)
