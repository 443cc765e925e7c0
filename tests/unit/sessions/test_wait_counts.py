"""What INFO replication says of replicas, read for WAIT."""

from __future__ import annotations

import pytest

from proxy.sessions.wait import acknowledged, replication_offset

INFO = (
    b"# Replication\r\nrole:master\r\nconnected_slaves:3\r\n"
    b"slave0:ip=10.0.0.1,port=6379,state=online,offset=700,lag=0\r\n"
    b"slave1:ip=10.0.0.2,port=6379,state=online,offset=699,lag=1,type=replica\r\n"
    b"slave2:ip=10.0.0.3,port=6379,state=wait_bgsave,offset=0,lag=0\r\n"
    b"master_failover_state:no-failover\r\nmaster_repl_offset:700\r\nsecond_repl_offset:-1\r\n"
)


def test_the_offset_is_the_primarys_own() -> None:
    assert replication_offset(INFO) == 700


@pytest.mark.parametrize(("offset", "count"), [(0, 2), (699, 2), (700, 1), (701, 0)])
def test_only_replicas_in_step_that_have_come_so_far_count(offset: int, count: int) -> None:
    assert acknowledged(INFO, offset) == count


def test_a_primary_without_replicas_has_none() -> None:
    assert acknowledged(b"role:master\r\nmaster_repl_offset:0\r\n", 0) == 0
