"""What befalls the network between the proxy and a node, while the nodes hear each other well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from relayed import Relay
from trial import FAULT_DEADLINE_S, Scene

from proxy.embedded import wait_for

Injection = Callable[[Scene], AbstractContextManager[None]]
RESETS = 5
DELAY_S = 0.01
PARTED_S = 2.0


def reset_again_and_again(relay: Relay) -> Injection:
    """Return the fault of connections that end with a reset, a few times, under load."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        # A little far away, so that something is on its way whenever they end.
        relay.tell("delay", scene.victim.address, DELAY_S)
        for _ in range(RESETS):
            with scene.cutting():
                relay.tell("reset", scene.victim.address)
            scene.crowd.wait_for_progress(2)
        yield
        relay.tell("heal", scene.victim.address)

    return inject


def delayed(relay: Relay, seconds: float) -> Injection:
    """Return the fault of a node that is far away."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        relay.tell("delay", scene.victim.address, seconds)
        yield
        relay.tell("heal", scene.victim.address)

    return inject


def split_into_bytes(relay: Relay) -> Injection:
    """Return the fault of a network that brings every byte by itself."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        relay.tell("split", scene.victim.address)
        yield
        relay.tell("heal", scene.victim.address)

    return inject


def parted(relay: Relay) -> Injection:
    """Return the fault of a node that is silent for the proxy only, and says so to nobody."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        with scene.cutting():
            relay.tell("stall", scene.victim.address)
            wait_for(
                lambda: scene.crowd.single.waiting_s > PARTED_S, FAULT_DEADLINE_S, "clients to wait"
            )
        yield
        relay.tell("heal", scene.victim.address)

    return inject


def demoted(relay: Relay) -> Injection:
    """Return the fault of a primary that says READONLY, while the map still calls it one."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        with scene.cutting():
            relay.tell("refuse", scene.victim.address)
            wait_for(
                lambda: scene.crowd.single.waiting_s > PARTED_S, FAULT_DEADLINE_S, "clients to wait"
            )
        yield
        with scene.cutting():
            relay.tell("heal", scene.victim.address)

    return inject
