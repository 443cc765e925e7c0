"""Every text that PROXY says (law 11): its help, its refusals, and what EXPLAIN explains.

Strategy: as ``replies.py``. Sentences of EXPLAIN are text, not frames: they are fields of a
value that the admin port and the page show as well.
"""

from __future__ import annotations

from proxy.resp.encode import array, error, simple

_HELP = (
    "PROXY <subcommand> [<arg> ...]. What the proxy tells of itself; subcommands are:",
    "BIGKEYS [<count>]",
    "    Keys whose values or replies were big, the biggest first.",
    "CLIENTS [<count>]",
    "    Clients, the longest connected first.",
    "CONFIG GET <pattern> [<pattern> ...]",
    "    Settings of the proxy whose keys match; secrets are hidden.",
    "CONFIG SET <key> <value>",
    "    Change a setting until the next reload or start.",
    "CONFIRM <code>",
    "    Let the command pass that was refused with this code, if it is sent again.",
    "EVENTS [<number>]",
    "    What happened after the event of this number, the oldest first.",
    "EXPLAIN <command> [<arg> ...]",
    "    What would become of a command: slot, node, parts, why refused. Nothing is sent.",
    "HELP",
    "    Print this help.",
    "HOTKEYS [<count>]",
    "    The most used keys, by samples of the requests.",
    "INFO [<section> ...]",
    "    Counters and latencies, in the manner of INFO.",
    "SLOWLOG GET [<count>] | LEN | RESET",
    "    Requests that took long, as clients felt it; SLOWLOG without PROXY is the servers'.",
    "STATS",
    "    Counters, rates and latencies.",
    "TOPOLOGY",
    "    Shards, nodes and slots, as the proxy sees them.",
)


def help_text() -> bytes:
    """PROXY HELP, in the form of a server's HELP."""
    return array([simple(line.encode()) for line in _HELP])


def only_admins(user: bytes) -> bytes:
    """The user is not among ``clients.admins``: ask as one of them, or put it there."""
    return error(
        b"NOPERM user '%b' is not in the proxy's setting clients.admins, and may only use "
        b"PROXY HELP, PROXY EXPLAIN and PROXY CONFIRM" % user
    )


def bad_count() -> bytes:
    """A count is not a number, or negative."""
    return error(b"ERR the count must be a number from 0 on")


def setting_refused(reason: str) -> bytes:
    """PROXY CONFIG SET: there is no such key, a restart is needed, or the value is wrong."""
    return error(b"ERR " + reason.encode())


# ---- EXPLAIN: why ----------------------------------------------------------------------


def why_unknown(*, asks: bool) -> str:
    """No row has this name."""
    if asks:
        return "The command table has no such command, so a server is asked if it knows it."
    return 'No server had such a command at start, and commands.unknown is "refuse".'


def why_miscounted() -> str:
    """It has too few or too many arguments, or its last key lacks what belongs to it."""
    return "It has too few or too many arguments."


def why_denied(*, is_setting: bool) -> str:
    """It is refused by name."""
    if is_setting:
        return "It is denied by the setting commands.deny."
    return "It means one server, not a cluster, or would harm what all clients share."


def why_no_memory() -> str:
    """More is held than the setting allows."""
    return "The proxy holds more than limits.memory_limit_bytes just now."


def why_too_wide(slots: int) -> str:
    """It would become more requests than the setting allows."""
    return f"Its keys lie in {slots} slots, more than limits.fan_out_limit allows."


def why_local() -> str:
    """The proxy answers."""
    return "The proxy answers it itself."


def why_cluster_hidden() -> str:
    """CLUSTER, while clients are to see one ordinary server."""
    return "Clients see one ordinary server, unless clients.expose_cluster is set."


def why_all(nodes: str, count: int) -> str:
    """Several nodes are asked."""
    return f"It concerns the whole keyspace or every server: {nodes} are asked, {count} just now."


def why_special() -> str:
    """Code of its own decides who is asked."""
    return "It concerns the whole keyspace: the proxy asks one shard after the other."


def why_asked() -> str:
    """Only the server's COMMAND GETKEYS knows where the keys are."""
    return "Only a server can tell where its keys are (COMMAND GETKEYS); it then goes there."


def why_module_session(command: str) -> str:
    """A module's command that blocks or subscribes."""
    return f"{command} of a module blocks or subscribes, and needs a connection of its own."


def why_no_key() -> str:
    """Any primary will do."""
    return "It has no key, so any primary serves it."


def why_one_slot(slot: int, keys: int, node: str | None) -> str:
    """The plain case."""
    words = "Its key is" if keys == 1 else f"All its {keys} keys are"
    where = f"which {node} serves" if node else "which no node serves just now"
    return f"{words} in slot {slot}, {where}."


def why_channel(slot: int) -> str:
    """A message: its channel is hashed as a key is."""
    return f"A message goes to the node of its channel's slot, {slot}, and from there to all."


def why_split(command: str, slots: int) -> str:
    """One part for each slot."""
    return (
        f"Its keys lie in {slots} slots, and {command} can be split: one part for each slot. "
        "It is atomic in each slot, not over all."
    )


def why_across(slots: int, manner: str) -> str:
    """In steps."""
    return f"Its keys lie in {slots} slots; it is done {manner}. None of it is atomic."


def why_not_across(command: str, slots: int) -> str:
    """Refused: CROSSSLOT."""
    return f"Its keys lie in {slots} slots, and {command} needs them in one."


def why_waits(slots: int) -> str:
    """It blocks."""
    if slots < 2:
        return "It may block, so it waits on a connection of the client's own."
    return f"It may block, and its keys lie in {slots} slots: the proxy waits for news of all."


def why_session() -> str:
    """It is about what the proxy keeps of the client."""
    return "It concerns what the proxy keeps for this client: transaction, watch, subscriptions."


# ---- EXPLAIN: between MULTI and EXEC -----------------------------------------------------


def in_block(slots: int) -> str:
    """Queued, and run by nodes."""
    if slots == 0:
        return "Queued; at EXEC it runs in the block of the command before it."
    if slots == 1:
        return "Queued; at EXEC it runs in one block with the other commands of its slot."
    return f"Queued; at EXEC its parts run in {slots} blocks, each atomic in its slot."


def in_fan_out() -> str:
    """Queued, and asked of all shards."""
    return "Queued; at EXEC all shards are asked, outside of the atomic block."


def in_local() -> str:
    """Queued, and answered by the proxy."""
    return "Queued; at EXEC the proxy answers it, outside of the atomic block."


def in_refused(error_line: bytes) -> str:
    """Not queued."""
    return f"Refused: {error_line.decode('utf-8', 'backslashreplace')}"


def in_ends() -> str:
    """EXEC, DISCARD, RESET, QUIT."""
    return "It ends the transaction."


def in_asked() -> str:
    """A server is asked for the keys first."""
    return "A server is asked for its keys; it is queued if they are in the transaction's slot."
