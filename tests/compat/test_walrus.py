"""walrus, an object mapper: models found by indexes over many keys, containers, autocomplete."""

from __future__ import annotations

import sys

import pytest
from applications import APPS, Serve, Workers

pytest.importorskip("walrus", reason="walrus is not installed")

# Its queries combine a model's index sets into a temporary one: they must be in one slot.
PINNED = {"pin": "shop|=shop,temp.=shop,names=names,lock=lock"}


def test_models_are_saved_found_changed_and_deleted(serve: Serve, workers: Workers) -> None:
    address = serve(**PINNED)

    printed = workers.run(
        *(sys.executable, APPS / "walrus_models.py"),
        REDIS_HOST=address.host,
        REDIS_PORT=str(address.port),
    )

    assert printed == "saved\nfound\nchanged\ndeleted\ncontainers\nlimits\nautocomplete\n"
