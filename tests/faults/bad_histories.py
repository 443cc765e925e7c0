"""Histories made by hand, each with one thing wrong."""

from __future__ import annotations

from collections.abc import Callable

from error_kinds import UNKNOWN
from history import ClientLog, Closed, History, Message, Record, Refusal, Reply
from judging.findings import Kind
from judging.verdict import Verdict, judge
from workload.values import ALL_SLOTS

from proxy.resp import replies

K = b"{k}"
LOST_REPLY = Refusal(replies.lost_write("127.0.0.1:7000")[1:-2].decode())
NOT_RUN = Refusal(replies.never_sent(7, 20.0)[1:-2].decode())


class Story:
    """What clients did, told line by line; each line takes a second, unless it says when."""

    def __init__(self) -> None:
        self.logs: dict[str, ClientLog] = {}
        self._clock = 0.0

    def __call__(
        self,
        who: str,
        command: str,
        reply: Reply,
        *keys: bytes,
        value: bytes = b"",
        at: tuple[float, float | None] | None = None,
    ) -> Record:
        """Add a request and its reply."""
        self._clock += 1
        sent_s, answered_s = at or (self._clock, self._clock + 0.5)
        is_last = command.startswith("LAST ")
        record = self.log(who).ask(command.removeprefix("LAST "), keys, value, sent_s, ends=is_last)
        record.reply, record.answered_at = reply, answered_s
        return record

    def log(self, who: str) -> ClientLog:
        return self.logs.setdefault(who, ClientLog(who, ALL_SLOTS))

    def judged(self, expected: tuple[str, ...] = (UNKNOWN, "CLUSTERDOWN not sent")) -> Verdict:
        return judge(History(list(self.logs.values())), expected)

    def sets(self, who: str, number: int, reply: Reply = b"OK") -> Record:
        return self(who, "SET", reply, K, value=b"%b:%d" % (who.encode(), number))


def two_sets(story: Story) -> None:
    story.sets("a", 0)
    story.sets("a", 1)


def a_value_of_nobody(story: Story) -> None:
    two_sets(story)
    story("b", "GET", b"a:7", K)


def a_value_of_another_key(story: Story) -> None:
    two_sets(story)
    story("b", "SET", b"OK", b"{other}", value=b"b:0")
    story("b", "GET", b"b:0", K)


def an_older_value_than_was_acknowledged(story: Story) -> None:
    two_sets(story)
    story("b", "GET", b"a:0", K)


def nil_after_a_write(story: Story) -> None:
    two_sets(story)
    story("b", "GET", None, K)


def its_own_write_is_not_seen(story: Story) -> None:
    story("a", "SET", b"OK", K, value=b"a:0", at=(1.0, 2.0))
    story("a", "GET", None, K, at=(1.0, 2.0))


def its_own_later_write_is_seen(story: Story) -> None:
    story("a", "GET", b"a:1", K, at=(1.0, 2.0))
    story("a", "SET", b"OK", K, value=b"a:1", at=(1.0, 2.0))


def a_value_before_it_was_sent(story: Story) -> None:
    story("b", "GET", b"a:0", K, at=(1.0, 2.0))
    story("a", "SET", b"OK", K, value=b"a:0", at=(3.0, 4.0))


def a_refused_write_is_there(story: Story) -> None:
    story.sets("a", 0)
    story.sets("a", 1, NOT_RUN)
    story("b", "GET", b"a:1", K)


def the_last_write_is_gone(story: Story) -> None:
    two_sets(story)
    story("a", "LAST GET", b"a:0", K)


def a_part_of_mset_is_gone(story: Story) -> None:
    story("a", "MSET", b"OK", b"{x}", b"{y}", value=b"a:0")
    story("a", "LAST MGET", [b"a:0", None], b"{x}", b"{y}")


def a_count_too_low(story: Story) -> None:
    story("a", "INCR", 1, K)
    story("a", "INCR", 2, K)
    story("a", "INCR", 2, K)


def a_count_too_high(story: Story) -> None:
    story("a", "INCR", 1, K)
    story("a", "INCR", 3, K)


def a_count_too_high_at_the_end(story: Story) -> None:
    story("a", "INCR", 1, K)
    story("a", "INCR", LOST_REPLY, K)
    story("a", "LAST GET", b"3", K)


def appends(story: Story, *ends: Reply) -> None:
    length = 0
    for number, end in enumerate(ends):
        length += 8 if end == b"" else 0
        story("a", "APPEND", length if end == b"" else end, K, value=b"%08d" % number)


def a_journal_lacks_a_record(story: Story) -> None:
    appends(story, b"", b"")
    story("a", "LAST GET", b"00000000", K)


def a_journal_has_a_record_twice(story: Story) -> None:
    appends(story, b"", LOST_REPLY)
    story("a", "LAST GET", b"000000000000000100000001", K)


def a_journal_has_records_in_another_order(story: Story) -> None:
    appends(story, b"", b"")
    story("a", "LAST GET", b"0000000100000000", K)


def a_journal_has_what_was_refused(story: Story) -> None:
    appends(story, b"", NOT_RUN)
    story("a", "LAST GET", b"0000000000000001", K)


def a_journal_has_what_nobody_wrote(story: Story) -> None:
    appends(story, b"")
    story("a", "LAST GET", b"0000000000000009", K)


def a_journal_is_longer_than_what_was_sent(story: Story) -> None:
    story("a", "APPEND", 16, K, value=b"00000000")


def exec_without_its_own_write(story: Story) -> None:
    story("a", "EXEC", [b"OK", b"OK", b"a:0", None], b"{k}a", b"{k}b", value=b"a:0")


def half_of_a_transaction(story: Story) -> None:
    story("a", "EXEC", LOST_REPLY, b"{k}a", b"{k}b", value=b"a:0")
    story("a", "LAST GET", b"a:0", b"{k}a")
    story("a", "LAST GET", None, b"{k}b")


def pushes(story: Story, *ends: Reply) -> None:
    for number, end in enumerate(ends):
        story("a", "RPUSH", end, K, value=b"a:%d" % number)


def an_item_taken_twice(story: Story) -> None:
    pushes(story, 1, 2)
    for item in (b"a:0", b"a:1", b"a:1"):
        story("b", "BLPOP", [K, item], K)


def an_item_missing(story: Story) -> None:
    pushes(story, 1, 2)
    story("b", "BLPOP", [K, b"a:1"], K)
    story("b", "LAST LRANGE", [], K)


def items_in_another_order(story: Story) -> None:
    pushes(story, 1, 2)
    story("b", "BLPOP", [K, b"a:1"], K)
    story("b", "LAST LRANGE", [b"a:0"], K)


def an_item_that_nobody_pushed(story: Story) -> None:
    pushes(story, 1)
    for item in (b"a:0", b"a:5"):
        story("b", "BLPOP", [K, item], K)


def an_item_that_was_refused(story: Story) -> None:
    pushes(story, NOT_RUN)
    story("b", "BLPOP", [K, b"a:0"], K)


def hears(story: Story, *numbers: int) -> None:
    for number in range(4):
        story("a", "PUBLISH", 1, K, value=b"a:%d" % number)
    log = story.log("b")
    log.messages = [Message(9.0, K, b"a:%d" % number) for number in numbers]


def a_message_not_heard(story: Story) -> None:
    hears(story, 0, 1, 3)


def a_message_heard_twice(story: Story) -> None:
    hears(story, 0, 1, 1, 2, 3)


def messages_in_another_order(story: Story) -> None:
    hears(story, 0, 2, 1, 3)


def a_message_nobody_said(story: Story) -> None:
    hears(story, 0, 1, 2, 3, 8)


def an_echo_of_another_request(story: Story) -> None:
    story("a", "ECHO", b"a:1", value=b"a:0")


def ok_where_a_number_belongs(story: Story) -> None:
    story("a", "INCR", b"OK", K)


def a_reply_too_many(story: Story) -> None:
    story.log("a").oddities.append("one more +OK")


def no_reply_at_all(story: Story) -> None:
    story("a", "GET", None, K, at=(1.0, None))


def a_connection_that_ended(story: Story) -> None:
    story("a", "GET", Closed.CLOSED, K)
    story.log("a").closed_at.append(2.0)


def an_error_that_is_not_documented(story: Story) -> None:
    story("a", "GET", Refusal("ERR it did not work"), K)


def an_expected_error_to_who_only_reads(story: Story) -> None:
    story.log("a").only_reads = True
    story("a", "GET", NOT_RUN, K)


BAD: dict[Callable[[Story], None], Kind] = {
    a_value_of_nobody: Kind.FOREIGN,
    a_value_of_another_key: Kind.FOREIGN,
    an_older_value_than_was_acknowledged: Kind.SEQUENCE,
    nil_after_a_write: Kind.SEQUENCE,
    its_own_write_is_not_seen: Kind.SEQUENCE,
    its_own_later_write_is_seen: Kind.SEQUENCE,
    a_value_before_it_was_sent: Kind.SEQUENCE,
    a_refused_write_is_there: Kind.GHOST,
    the_last_write_is_gone: Kind.LOST,
    a_part_of_mset_is_gone: Kind.LOST,
    a_count_too_low: Kind.LOST,
    a_count_too_high: Kind.DOUBLED,
    a_count_too_high_at_the_end: Kind.DOUBLED,
    a_journal_lacks_a_record: Kind.LOST,
    a_journal_has_a_record_twice: Kind.DOUBLED,
    a_journal_has_records_in_another_order: Kind.SEQUENCE,
    a_journal_has_what_was_refused: Kind.GHOST,
    a_journal_has_what_nobody_wrote: Kind.FOREIGN,
    a_journal_is_longer_than_what_was_sent: Kind.DOUBLED,
    exec_without_its_own_write: Kind.ATOMICITY,
    half_of_a_transaction: Kind.ATOMICITY,
    an_item_taken_twice: Kind.DOUBLED,
    an_item_missing: Kind.LOST,
    items_in_another_order: Kind.SEQUENCE,
    an_item_that_nobody_pushed: Kind.FOREIGN,
    an_item_that_was_refused: Kind.GHOST,
    a_message_not_heard: Kind.LOST,
    a_message_heard_twice: Kind.DOUBLED,
    messages_in_another_order: Kind.SEQUENCE,
    a_message_nobody_said: Kind.FOREIGN,
    an_echo_of_another_request: Kind.ORDER,
    ok_where_a_number_belongs: Kind.ORDER,
    a_reply_too_many: Kind.ORDER,
    no_reply_at_all: Kind.STUCK,
    a_connection_that_ended: Kind.CLOSED,
    an_error_that_is_not_documented: Kind.ERROR,
    an_expected_error_to_who_only_reads: Kind.ERROR,
}
