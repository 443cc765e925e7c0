"""Say what an analysis left out because there was too much of it.

Strategy: one line a limit, only of those that were reached, with what that means for
the reader. The numbers stand in the files they belong to.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.advise.analysis import CLIENT_LIMIT, FINDING_LIMIT, Analysis
from proxy.advise.conversation import TRANSACTION_LIMIT
from proxy.advise.monitor_log import LINE_LIMIT_BYTES
from proxy.advise.together import GROUP_LIMIT, KEYS_LOOKED_AT, PATTERN_LIMIT, PATTERNS_OF_GROUP


def list_limits(analysis: Analysis) -> Iterator[str]:
    """Return a sentence for each limit that was reached."""
    together, gaps = analysis.together, analysis.conversation.gaps
    if analysis.unreadable:
        yield (
            f"{analysis.unreadable:,} lines are not MONITOR's and were left out, "
            f"the first is line {analysis.first_unreadable:,}"
        )
    if analysis.skipped:
        yield (
            f"{analysis.skipped:,} times commands came faster than they could be analysed: "
            "some are missing, and so are transactions that were open then"
        )
    if gaps.unknown_beginnings:
        yield (
            f"{gaps.unknown_beginnings:,} transactions had begun before the log did; "
            "their commands were taken as single ones"
        )
    if gaps.forgotten:
        yield f"{gaps.forgotten:,} connections were forgotten in the middle of a transaction"
    if gaps.unseen:
        yield (
            f"{gaps.unseen:,} commands came after the first {TRANSACTION_LIMIT:,} of their "
            "transaction and were not looked at"
        )
    if gaps.orphans:
        yield f"{gaps.orphans:,} commands are of scripts that had begun before the log did"
    if analysis.cut_lines:
        yield (
            f"{analysis.cut_lines:,} commands are longer than {LINE_LIMIT_BYTES:,} bytes; "
            "of these only the beginning was looked at"
        )
    if together.cut:
        yield (
            f"{together.cut:,} commands or transactions have more than {KEYS_LOOKED_AT} different "
            f"keys or {PATTERNS_OF_GROUP} kinds of keys; of these the first were compared"
        )
    if together.other_uses:
        yield (
            f"{together.other_uses:,} of {together.total:,} uses of keys are not in the shares of "
            f"hash tags and pins: there are more than {PATTERN_LIMIT:,} kinds of keys, or many "
            "in one command"
        )
    if together.other_groups:
        yield (
            f"{together.other_groups:,} occurrences of keys together are not told: there are more "
            f"than {GROUP_LIMIT:,} combinations"
        )
    if analysis.other_findings:
        yield f"{analysis.other_findings:,} findings are of more than {FINDING_LIMIT:,} kinds"
    if analysis.clients.others:
        yield (
            f"{analysis.clients.others:,} commands are of clients beyond the first {CLIENT_LIMIT:,}"
        )
