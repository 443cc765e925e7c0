"""A backup as text: TOML for people, JSON for programs, by the ending of the file. Pure but two.

Strategy: one dict of plain values in between; slots are written as ranges. Python reads
TOML and does not write it, and what is written here is simple enough.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy.cluster.addresses import Address
from proxy.cluster.slots import parse_slot_text, slot_text
from proxy.manage.backup import Backup, BackupNode
from proxy.manage.errors import ManageError

FORMAT = 1
_HEAD = "# The shape of a cluster, by slotway cluster backup. No keys and no values are in it.\n"


def as_toml(backup: Backup) -> str:
    """Return a backup as TOML."""
    lines = [f"{_HEAD}format = {FORMAT}", f"taken_at = {_quoted(backup.taken_at)}"]
    for row in _rows(backup):
        settings = row.pop("settings")
        lines += ["", "[[nodes]]"]
        lines += [f"{name} = {_value(value)}" for name, value in row.items()]
        if settings:
            lines += ["", "[nodes.settings]"]
            lines += [f"{_quoted(name)} = {_quoted(value)}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def as_json_text(backup: Backup) -> str:
    """Return a backup as JSON."""
    whole = {"format": FORMAT, "taken_at": backup.taken_at, "nodes": _rows(backup)}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def read_backup(text: str, *, is_json: bool) -> Backup:
    """Return what ``as_toml`` or ``as_json_text`` has written, or a person has changed.

    Raises:
        ValueError: It is no backup, or one node contradicts another.
    """
    try:
        whole = json.loads(text) if is_json else tomllib.loads(text)
        if whole["format"] != FORMAT:
            raise ValueError(f"format {whole['format']!r} is not {FORMAT}")
        backup = Backup(str(whole["taken_at"]), tuple(_node(row) for row in whole["nodes"]))
    except KeyError as problem:
        raise ValueError(f"it is no backup: it has no {problem}") from None
    except (TypeError, AttributeError, RecursionError) as problem:
        raise ValueError(f"it is no backup: {type(problem).__name__} {problem}") from None
    _must_be_sound(backup)
    return backup


def save_backup(backup: Backup, place: str, *, is_json: bool = False) -> None:
    """Write a backup to a file, as JSON if its name ends so, else as TOML.

    Args:
        backup: What to write.
        place: The file; ``-`` is standard output.
        is_json: On standard output, which has no ending.

    Raises:
        ManageError: It cannot be written.
    """
    if place == "-":
        sys.stdout.write(as_json_text(backup) if is_json else as_toml(backup))
        return
    text = as_json_text(backup) if place.endswith(".json") else as_toml(backup)
    try:
        Path(place).write_text(text, "utf-8")
    except OSError as problem:
        raise ManageError(f"{place}: {problem.strerror}") from None


def load_backup(path: Path) -> Backup:
    """Read a backup from a file.

    Raises:
        ManageError: It cannot be read, or is no backup.
    """
    try:
        return read_backup(path.read_text("utf-8"), is_json=path.suffix == ".json")
    except OSError as problem:
        raise ManageError(f"{path}: {problem.strerror}") from None
    except ValueError as problem:
        raise ManageError(f"{path}: {problem}") from None


def _rows(backup: Backup) -> list[dict[str, Any]]:
    return [
        {
            "id": node.id,
            "address": str(node.address),
            "hostname": node.hostname,
            "role": node.role,
            "copies": node.copies or "",
            "slots": slot_text(node.slots),
            "config_epoch": node.config_epoch,
            "engine": node.engine,
            "version": node.version,
            "settings": dict(node.settings),
        }
        for node in backup.nodes
    ]


def _node(row: Mapping[str, Any]) -> BackupNode:
    return BackupNode(
        id=str(row["id"]),
        address=Address.parse(row["address"]),
        hostname=str(row.get("hostname", "")),
        role=str(row["role"]),
        copies=str(row.get("copies", "")) or None,
        slots=parse_slot_text(str(row.get("slots", ""))),
        config_epoch=int(row.get("config_epoch", 0)),
        engine=str(row.get("engine", "")),
        version=str(row.get("version", "")),
        settings={str(name): str(value) for name, value in row.get("settings", {}).items()},
    )


def _must_be_sound(backup: Backup) -> None:
    ids = [node.id for node in backup.nodes]
    places = [node.address for node in backup.nodes]
    slots = [slot for node in backup.nodes for slot in node.slots]
    primaries = {node.id for node in backup.nodes if node.role == "primary"}
    if not backup.nodes:
        raise ValueError("it has no nodes")
    for name, values in (("id", ids), ("address", places), ("slot", slots)):
        if len(set(values)) != len(values):
            raise ValueError(f"two nodes have the same {name}")
    for node in backup.nodes:
        if node.role not in ("primary", "replica"):
            raise ValueError(f"{node.address}: role {node.role!r} is not primary or replica")
        if (node.copies is None) != (node.role == "primary"):
            raise ValueError(f"{node.address}: a replica copies somebody, a primary nobody")
        if node.copies is not None and (node.copies not in primaries or node.slots):
            raise ValueError(f"{node.address}: a replica copies a primary and owns no slots")


def _value(value: str | int) -> str:
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    """JSON's strings are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
