"""Packets between the proxy and a node get lost: a firewall in a network of the test's own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from trial import FAULT_DEADLINE_S, Scene

from proxy.embedded import wait_for

LOSS_IN_TEN = 1
PARTED_S = 2.0


def nft(*words: str) -> None:
    """Change the firewall of the network that we are in."""
    subprocess.run(["nft", *words], check=True, capture_output=True)


def has_firewall() -> bool:
    """Whether packets can be dropped here; only inside a network of our own."""
    if shutil.which("nft") is None:
        return False
    return not subprocess.run(["nft", "list", "ruleset"], capture_output=True).returncode


@contextmanager
def dropping(port: int, *rule: str) -> Iterator[None]:
    """Drop packets to and from a port, as the rule says; without one, all."""
    nft("add", "table", "inet", "faults")
    nft("add", "chain", "inet", "faults", "loss", "{ type filter hook input priority 0; }")
    for side in ("dport", "sport"):
        nft("add", "rule", "inet", "faults", "loss", "tcp", side, str(port), *rule, "drop")
    yield
    nft("delete", "table", "inet", "faults")


@contextmanager
def packets_lost(scene: Scene) -> Iterator[None]:
    """Lose one packet in ten to or from a primary."""
    chance = ("numgen", "random", "mod", "10", "<", str(LOSS_IN_TEN))
    with dropping(scene.victim.port, *chance):
        yield


@contextmanager
def parted(scene: Scene) -> Iterator[None]:
    """Lose all packets to and from a primary's clients; its bus is another port."""
    with dropping(scene.victim.port), scene.cutting():
        wait_for(
            lambda: scene.crowd.single.waiting_s > PARTED_S, FAULT_DEADLINE_S, "clients to wait"
        )
        yield
