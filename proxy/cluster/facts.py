"""What servers say of themselves in lines, as INFO and CLUSTER INFO do. Pure."""

from __future__ import annotations


def parse_pairs(text: bytes) -> dict[str, str]:
    """Return ``name:value`` lines as a dict; headings and empty lines are left out."""
    lines = text.decode("utf-8", "replace").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}
