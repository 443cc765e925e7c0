"""The data plane's heartbeat: one tick takes everything that is ready, then writes."""

from proxy.dataplane.handover import Handover
from proxy.dataplane.hooks import Hooks, Shower
from proxy.dataplane.lane import Lane
from proxy.dataplane.pins import Pins
from proxy.dataplane.tables import CommandTable, SlotMap

class Engine(Handover):
    """The data plane.

    Args:
        control: Answers the questions of ``hooks.Hooks``.
    """

    silence_s: float
    """A node that owes replies for longer without a byte is reported."""
    idle_timeout_s: float
    """A client that sends nothing for longer is closed; 0: never."""

    def __init__(self, control: Hooks) -> None: ...
    @property
    def ticks(self) -> int:
        """Ticks so far."""

    def fileno(self) -> int:
        """Return the epoll descriptor: readable when a tick has something to do."""

    def pause(self, only_writes: bool) -> None:
        """Let no client's next request pass, or none that writes, until ``unpause``."""

    def unpause(self) -> None:
        """Let all clients go on."""

    def install_commands(self, table: CommandTable) -> None:
        """Replace the command table."""

    def install_pins(self, pins: Pins, shower: Shower) -> None:
        """Take the pins; every command table from now on has been told of them."""

    def install_slots(self, slots: SlotMap) -> None:
        """Replace the slot map; what waits for a node without connection is routed anew."""

    def add_lane(self, lane: Lane) -> None:
        """Take a lane's pipelines into sweeps and map changes."""

    def remove_lane(self, lane: Lane) -> None:
        """Close a lane's connections and look after it no more; no client uses it."""

    @property
    def command_table(self) -> CommandTable:
        """The command table in use."""

    @property
    def slot_map(self) -> SlotMap:
        """The slot map in use."""

    @property
    def is_busy(self) -> bool:
        """Whether a sweep is needed even if no socket becomes ready."""

    @property
    def sweep_after_s(self) -> float:
        """How long the engine may be left alone while it is busy."""

    def close(self) -> None:
        """Close every connection, of clients and to nodes; nothing may be asked of it after."""

    def tick(self, timeout_ms: int) -> bool:
        """Handle everything that is ready; wait up to ``timeout_ms`` for something.

        Returns:
            Whether there was anything to do.
        """

    def begin_turn(self, was_waiting: bool) -> None:
        """Say that whoever drives the engine has it again, after trio's other tasks.

        Args:
            was_waiting: There was traffic meanwhile, so the time is noted.
        """

    @property
    def turn_s(self) -> float:
        """Seconds from the beginning of the turn to the end of the last tick."""
