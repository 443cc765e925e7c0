"""Slots are claimed only with an epoch that nobody else has or will take."""

from __future__ import annotations

import pytest

from proxy.cluster.addresses import Address
from proxy.cluster.epochs import Epochs, parse_epochs, unsettled_epoch
from proxy.errors import BackendProtocolError

TARGET, SOURCE, THIRD = (Address("10.0.0.1", 7000 + number) for number in range(3))


@pytest.mark.parametrize(
    ("source", "third", "words"),
    [
        (Epochs(2, 9), Epochs(3, 3), None),
        (Epochs(4, 4), Epochs(3, 3), "10.0.0.1:7000 does not know the epoch of 10.0.0.1:7001"),
        (Epochs(2, 3), Epochs(5, 5), "10.0.0.1:7000 does not know the epoch of 10.0.0.1:7002"),
        (Epochs(1, 3), Epochs(3, 3), "10.0.0.1:7000 and 10.0.0.1:7001 have the same epoch, 1"),
        (Epochs(2, 3), Epochs(2, 3), "10.0.0.1:7001 and 10.0.0.1:7002 have the same epoch, 2"),
        (Epochs(2, 3), None, None),
    ],
)
def test_a_claim_waits_until_epochs_are_known_and_each_is_one_primarys(
    source: Epochs, third: Epochs | None, words: str | None
) -> None:
    told = {TARGET: Epochs(1, 3), SOURCE: source, THIRD: third}

    assert unsettled_epoch(told, TARGET) == words
    assert unsettled_epoch({**told, TARGET: None}, TARGET) is None


def test_epochs_are_read_from_what_the_servers_say() -> None:
    said = b"cluster_state:ok\r\ncluster_current_epoch:7\r\ncluster_my_epoch:3\r\n"
    primary = b"# Replication\r\nrole:master\r\nconnected_slaves:1\r\n"

    assert parse_epochs(said, primary) == Epochs(own=3, highest=7)
    assert parse_epochs(said, b"# Replication\r\nrole:slave\r\n") is None
    for wrong in (b"", said.replace(b"7", b"x"), b"cluster_my_epoch:3\r\n"):
        with pytest.raises(BackendProtocolError, match="without epochs"):
            parse_epochs(wrong, primary)
