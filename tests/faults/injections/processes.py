"""What befalls a server's process: it dies, it hangs, it comes back somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from trial import FAULT_DEADLINE_S, Scene

from proxy.cluster.topology import Address
from proxy.embedded import lease_ports, wait_for

MOMENT_S = 1.0


@contextmanager
def killed(scene: Scene) -> Iterator[None]:
    """Kill a primary (SIGKILL); a replica takes its place, and it comes back as a replica."""
    with scene.losing(), scene.cutting():
        scene.victim.kill()
    scene.wait_until_promoted()
    yield
    scene.heal()


@contextmanager
def hung(scene: Scene) -> Iterator[None]:
    """Stop a primary (SIGSTOP) until a replica has its place, then let it go on."""
    with scene.losing(), scene.cutting():
        scene.victim.freeze()
    scene.wait_until_promoted()
    yield
    scene.heal()


@contextmanager
def hung_for_a_moment(scene: Scene) -> Iterator[None]:
    """Stop a primary, and let it go on before the cluster loses patience."""
    with scene.cutting():
        scene.victim.freeze()
        wait_for(
            lambda: scene.crowd.single.waiting_s > MOMENT_S, FAULT_DEADLINE_S, "clients to wait"
        )
    yield
    scene.heal()


def restarted_at(host: str, *, same_port: bool) -> Callable[[Scene], AbstractContextManager[None]]:
    """Return the fault of a primary that is killed and starts again at another address.

    Args:
        host: An address of the loopback interface.
        same_port: Whether only the host is another.
    """

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        before = scene.victim.address
        with lease_ports(1) as lease:
            with scene.cutting():
                scene.victim.kill()
            port = before.port if same_port else lease.ports[0]
            scene.victim.relocate(Address(host, port))
            scene.victim.start()
            scene.heal()
            yield
            # The lease ends, so it goes back to where nobody else may be.
            with scene.cutting():
                scene.victim.kill()
            scene.victim.relocate(before)
            scene.heal()

    return inject
