"""Everything works where the nodes want a password, also what nodes do with each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from bare_nodes import bare_nodes
from slotway_command import slotway

from proxy.cluster.slots import key_slot
from proxy.manage import ClusterManager, ManageError, Move, MoveOptions

pytestmark = pytest.mark.live

CLASSIC = MoveOptions(method="classic")


def test_a_cluster_with_passwords_is_created_and_its_keys_move(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDISCLI_AUTH", raising=False)
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    with bare_nodes(engine, 3) as nodes:
        for node in nodes:
            node.call("CONFIG", "SET", "masterauth", "s3cret")
            node.call("CONFIG", "SET", "requirepass", "s3cret")
        places = [str(node.address) for node in nodes]
        seed = ("--seed", places[0])

        slotway("create", *places, "--replicas", 0, "--yes", code=1)
        slotway("create", *places, "--replicas", 0, "--yes", "--password", "wrong", code=2)
        monkeypatch.setenv("REDISCLI_AUTH", "wrong")
        slotway("create", *places, "--replicas", 0, "--yes", code=1)
        slotway("info", *seed, "--password-file", file, code=2)
        monkeypatch.delenv("REDISCLI_AUTH")
        slotway("create", *places, "--replicas", 0, "--yes", "--password-file", file)
        slotway("info", *seed, "--user", "ada", code=2)
        monkeypatch.setenv("REDISCLI_AUTH", "s3cret")
        slotway("info", *seed)

        client = redis.RedisCluster(host="127.0.0.1", port=nodes[0].port, password="s3cret")
        slot = key_slot(b"key")
        client.set("key", "value")
        # The source has to log in at the target: by password, and as a user.
        for other in nodes:
            with redis.Redis(port=other.port, password="s3cret") as direct:
                direct.execute_command("ACL", "SETUSER", "ada", "on", ">lovelace", "~*", "+@all")
        for login in ({"password": "s3cret"}, {"username": "ada", "password": "lovelace"}):
            with ClusterManager(places, **login) as manager:
                view = manager.look()
                owner = view.topology.owner(slot)
                target = next(each for each in view.primaries if each.id != owner.id)
                outcome = manager.move([Move(owner.id, target.id, (slot,))], CLASSIC)
                assert outcome.keys == 1
        assert client.get("key") == b"value"
        client.close()
        with ClusterManager(places) as stranger, pytest.raises(ManageError, match=r"(?i)auth"):
            stranger.info()
