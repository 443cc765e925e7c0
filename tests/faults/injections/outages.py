"""Whole shards go, and come back with what they have on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trial import Scene


@contextmanager
def shard_gone(scene: Scene) -> Iterator[None]:
    """Kill a primary and its replica: nobody has its slots until they are back."""
    doomed = (scene.victim, *scene.cluster.replicas_of(scene.victim))
    with scene.cutting():
        for node in doomed:
            node.kill()
    yield
    scene.heal()


@contextmanager
def all_gone(scene: Scene) -> Iterator[None]:
    """Kill all six nodes."""
    with scene.cutting():
        for node in scene.cluster.nodes:
            node.kill()
    yield
    scene.heal()
