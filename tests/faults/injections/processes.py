"""What befalls a server's process: it dies, it hangs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trial import Scene


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
