"""Numbers in sentences. Pure."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return ``1 replica``, ``2 replicas``, ``1,500 replicas``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
