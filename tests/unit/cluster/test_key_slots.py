"""Slots of keys, as CLUSTER KEYSLOT of a Redis 7.0 server gives them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.slots import SLOT_COUNT, hash_tag, key_slot

SLOTS = {
    b"": 0,
    b"123456789": 12739,
    b"foo": 12182,
    b"bar": 5061,
    b"user:12345": 1800,
    b"{user1000}.following": 3443,
    b"{user1000}.followers": 3443,
    b"user1000": 3443,
    b"somekey": 11058,
    b"foo{hash_tag}": 2515,
}

TAGS = {
    b"no braces": b"no braces",
    b"{user1000}.following": b"user1000",
    b"foo{}{bar}": b"foo{}{bar}",
    b"foo{{bar}}zap": b"{bar",
    b"foo{bar}{zap}": b"bar",
    b"foo{bar": b"foo{bar",
    b"foo}bar{baz}": b"baz",
    b"}{": b"}{",
    b"{\x00\xff}": b"\x00\xff",
}


@pytest.mark.parametrize(("key", "slot"), SLOTS.items())
def test_a_key_has_the_slot_that_the_server_says(key: bytes, slot: int) -> None:
    assert key_slot(key) == slot


@pytest.mark.parametrize(("key", "tag"), TAGS.items())
def test_only_the_first_tag_with_something_in_it_is_hashed(key: bytes, tag: bytes) -> None:
    assert hash_tag(key) == tag


@given(st.binary())
def test_every_key_has_a_slot(key: bytes) -> None:
    assert 0 <= key_slot(key) < SLOT_COUNT


@given(st.binary(min_size=1), st.binary(), st.binary())
def test_keys_of_one_tag_share_a_slot(tag: bytes, before: bytes, after: bytes) -> None:
    tag = tag.replace(b"}", b"") or b"t"
    before = before.replace(b"{", b"")

    assert key_slot(before + b"{" + tag + b"}" + after) == key_slot(b"{" + tag + b"}")


@given(st.binary())
def test_the_checksum_is_crc_16_xmodem(key: bytes) -> None:
    register = 0
    for byte in hash_tag(key):
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1) ^ (0x1021 if register & 0x8000 else 0)
        register &= 0xFFFF

    assert key_slot(key) == register % SLOT_COUNT
