"""A name that leads elsewhere: the whole cluster moves, as pods do that are scheduled anew.

Strategy: the proxy runs with an ``/etc/hosts`` of its own (a mount namespace), which the
resolver of the C library reads at every question; what stands in it is the answer of the DNS.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from trial import Scene

from proxy.cluster.topology import Address
from proxy.embedded import EmbeddedCluster, ProxyProcess
from proxy.embedded.formation import introduce

NAME = "redis.example"
OWN_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


def may_have_own_hosts() -> bool:
    """Whether this machine lets us mount anything."""
    command = ["unshare", "--mount", "sh", "-c", OWN_HOSTS, "sh", "/etc/hosts", "true"]
    return not subprocess.run(command, capture_output=True, check=False).returncode


class NamedProxy(ProxyProcess):
    """A proxy for which names lead where ``hosts`` says."""

    hosts: Path

    @property
    def command(self) -> list[str]:
        """The command line, behind what gives it its own names."""
        wrapped = ["unshare", "--mount", "sh", "-c", OWN_HOSTS, "sh", str(self.hosts)]
        return [*wrapped, *super().command]


def moved_with_its_name(hosts: Path, host: str) -> Callable[[Scene], AbstractContextManager[None]]:
    """Return the fault of a cluster whose nodes all come back at another address.

    Args:
        hosts: Of a ``NamedProxy``.
        host: The other address, of the loopback interface.
    """

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        before = scene.victim.address.host
        _move(scene, host)
        lead(hosts, host)
        yield
        _move(scene, before)
        lead(hosts, before)

    return inject


def lead(hosts: Path, host: str) -> None:
    """Have the name lead to this address; the file stays the same, for it is mounted."""
    with hosts.open("w") as file:
        file.write(f"127.0.0.1 localhost\n{host} {NAME}\n")


def _move(scene: Scene, host: str) -> None:
    cluster: EmbeddedCluster = scene.cluster
    with scene.cutting():
        for node in cluster.nodes:
            node.kill()
    for node in cluster.nodes:
        node.relocate(Address(host, node.address.port))
        node.start()
    # As an operator does: what the nodes know of each other leads to where nobody is.
    introduce(cluster.nodes)
    scene.heal()
