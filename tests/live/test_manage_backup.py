"""A cluster's shape is kept in a file, formed again on fresh nodes, and compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bare_nodes import bare_nodes
from slotway_command import slotway

from proxy.manage import ClusterManager, load_backup

pytestmark = pytest.mark.live


def test_a_shape_is_restored_on_fresh_nodes_and_checked(engine: str, tmp_path: Path) -> None:
    file, again = tmp_path / "shape.toml", tmp_path / "again.json"
    with bare_nodes(engine, 6) as old, bare_nodes(engine, 6) as fresh:
        places = [str(node.address) for node in old]
        slotway("create", *places, "--yes")
        # A shape that nobody would have dealt.
        slotway("reshard", "--from", places[0], "--to", places[2], "--slots", 7, "--yes",
                "--seed", places[0])  # fmt: skip
        slotway("backup", file, "--seed", places[0])
        slotway("restore", file, "--check", "--seed", places[0])
        saved = load_backup(file)
        assert all(node.settings["cluster-node-timeout"] == "1500" for node in saved.nodes)
        assert json.loads(slotway("backup", "-", "--json", "--seed", places[0]))["format"] == 1

        # The old nodes are in use: nothing may be formed of them.
        slotway("restore", file, *reversed([node.address for node in saved.nodes]), "--yes", code=1)
        new = [node.address for node in fresh]
        plan = json.loads(slotway("restore", file, *new, "--dry-run", "--json"))
        assert "no keys and no values" in plan["notes"][0]
        assert b"cluster_slots_assigned:0" in fresh[0].call_text("CLUSTER", "INFO")
        slotway("restore", file, *new, "--yes")

        slotway("backup", again, "--seed", new[3])
        target = {node.address: node for node in load_backup(again).nodes}
        pairs = [(node, target[place]) for node, place in zip(saved.nodes, new, strict=True)]
        assert [node.slots for node, _ in pairs] == [node.slots for _, node in pairs]
        ids = {old_node.id: new_node.id for old_node, new_node in pairs}
        assert [ids.get(node.copies or "") for node, _ in pairs] == [n.copies for _, n in pairs]
        words = [
            word
            for node, place in zip(saved.nodes, new, strict=True)
            for word in ("--map", f"{node.address}={place}")
        ]
        assert "the shape of the backup" in slotway("restore", file, "--check", *words)

        with ClusterManager([new[0]]) as manager:
            first, second = (shard.primary for shard in manager.distribution().shards[:2])
            manager.move(manager.plan_reshard([str(first)], str(second), 1))
        found = json.loads(slotway("restore", file, *new, "--check", "--json", code=1))
        assert {(each["kind"], each["node"]) for each in found} == {
            ("slots", str(first)),
            ("slots", str(second)),
        }
        slotway("simulate", "--file", file, "--lose-node", places[0])


def test_a_file_that_is_none_is_said(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"

    slotway("restore", file, "--check", code=1)
    file.write_text("format = 1\n")
    slotway("restore", file, "--check", code=1)
    slotway("simulate", "--file", file, code=1)
    slotway("simulate", "--lose-node", "nobody", code=1)
