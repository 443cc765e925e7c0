"""What the data plane has to know of commands beside what servers say of them: sets of names.

Strategy: as few as can be, and all in one place; whatever a flag tells is asked of the flag.
"""

from __future__ import annotations

from proxy.commands.spec import CommandSpec

# Local answers that depend on nothing the client's earlier requests may change.
IN_PLACE = frozenset({b"ping", b"echo", b"time"})
# What brings a script along, and what only names one: the server's flags do not tell.
CARRY_A_SCRIPT = frozenset({b"eval", b"eval_ro"})
RUN_BY_SHA = frozenset({b"evalsha", b"evalsha_ro"})
NAME_A_SCRIPT = RUN_BY_SHA | {b"fcall", b"fcall_ro"}
# What CLIENT PAUSE WRITE stops beside what is flagged a write; servers do not tell of it.
# EXEC counts, as what it runs is not known here.
MAY_WRITE = frozenset({b"eval", b"evalsha", b"exec", b"fcall", b"pfcount", b"publish", b"spublish"})


def reads_anywhere(spec: CommandSpec) -> bool:
    """Return whether a replica may answer it, if the client wants that.

    The server's flag decides. Scripts that only read stay at the primary: a replica may
    lack them, and a function cannot be brought there.
    """
    is_script = spec.name in CARRY_A_SCRIPT | NAME_A_SCRIPT
    return b"readonly" in spec.flags and not spec.is_write and not is_script
