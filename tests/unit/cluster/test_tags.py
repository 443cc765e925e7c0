"""Hash tags for a slot that is given."""

from __future__ import annotations

import pytest

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.cluster.tags import tag_in_slot


@pytest.mark.parametrize("slot", [0, 1, 8191, 8192, 12182, SLOT_COUNT - 1])
def test_a_tag_is_hashed_to_its_slot(slot: int) -> None:
    for _ in range(200):
        tag = tag_in_slot(slot, b"slotway:")

        assert tag.startswith(b"slotway:")
        assert key_slot(b"{%b}7" % tag) == slot


def test_there_is_a_tag_for_every_slot() -> None:
    assert all(key_slot(b"{%b}" % tag_in_slot(slot, b"")) == slot for slot in range(SLOT_COUNT))


def test_no_two_tags_are_equal() -> None:
    assert len({tag_in_slot(7, b"slotway:") for _ in range(1000)}) == 1000
