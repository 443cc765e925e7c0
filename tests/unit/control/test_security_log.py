"""ACL LOG of several servers: the youngest entries, as they were written."""

from __future__ import annotations

import pytest

from proxy.control.merges import CannotMerge
from proxy.control.reports import security_entries
from proxy.resp.encode import array, bulk, map_frame


def entry(user: bytes, age: bytes, resp: int = 2) -> bytes:
    pairs = [(bulk(b"username"), bulk(user)), (bulk(b"age-seconds"), age)]
    return map_frame(pairs, resp)


@pytest.mark.parametrize("resp", [2, 3])
def test_the_youngest_come_first(resp: int) -> None:
    first = [entry(b"a", bulk(b"1.5"), resp), entry(b"b", bulk(b"20.1"), resp)]
    second = [entry(b"c", b",3.25\r\n" if resp == 3 else bulk(b"3.25"), resp)]

    merged = security_entries([array(first), array(second), array([])], 10)

    assert merged == array([first[0], second[0], first[1]])
    assert security_entries([array(first), array(second)], 1) == array([first[0]])


def test_an_entry_without_an_age_cannot_be_put_in_order() -> None:
    with pytest.raises(CannotMerge):
        security_entries([array([map_frame([(bulk(b"username"), bulk(b"a"))], 2)])], 10)
