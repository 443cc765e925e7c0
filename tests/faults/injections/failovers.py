"""A replica takes over from a primary that lives: in good order, by force, by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from trial import Scene


def failed_over(*how: str) -> Callable[[Scene], AbstractContextManager[None]]:
    """Return the fault ``CLUSTER FAILOVER``, with this option.

    In good order the primary stops and passes on all it has first. With FORCE and TAKEOVER it is
    not asked, and goes on to acknowledge writes until it hears of it; those are gone.
    """

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        (replica,) = scene.cluster.replicas_of(scene.victim)
        with scene.losing() if how else nullcontext():
            replica.call("CLUSTER", "FAILOVER", *how)
            scene.wait_until_promoted()
        yield
        scene.heal()

    return inject
