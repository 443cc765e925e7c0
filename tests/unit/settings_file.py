"""A file of settings."""

from __future__ import annotations

from pathlib import Path


def write(tmp_path: Path, text: str) -> Path:
    """Write it, and return where it stands."""
    path = tmp_path / "proxy.toml"
    path.write_text(text, "utf-8")
    return path
