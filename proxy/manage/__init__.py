"""Create, inspect, check, grow, shrink and repair a cluster, live. The face is ``ClusterManager``.

Decisions are pure functions of a ``View``, what all nodes say at one moment: ``*_plan``,
``inspect``, ``agreement``, ``dealing``. Only ``look`` reads it from the network, only
``*_run`` changes anything, and both go through ``links``.
"""

from proxy.insight.shown import as_json, text_of
from proxy.manage.backup import (
    Backup,
    BackupNode,
    Difference,
    differences,
    parse_places,
    places_in_order,
)
from proxy.manage.backup_file import as_json_text, as_toml, load_backup, read_backup, save_backup
from proxy.manage.create_plan import CreatePlan
from proxy.manage.distribution import Distribution, ShardShare
from proxy.manage.errors import (
    CannotPlan,
    Interrupted,
    ManageError,
    NodeRefused,
    NodeUnreachable,
    NotInTime,
)
from proxy.manage.health import Health
from proxy.manage.health_values import Finding
from proxy.manage.import_run import ImportOutcome, ImportPlan
from proxy.manage.inspect import (
    ClusterInfo,
    KeyPlace,
    NodeState,
    OpenSlot,
    SlotRange,
    key_places,
)
from proxy.manage.links import Login
from proxy.manage.manager import ClusterManager
from proxy.manage.manners import MANNERS, Manner, manner_of
from proxy.manage.member_plan import AddPlan, FailoverPlan, RemovePlan, ReplicatePlan
from proxy.manage.metrics import Figures, Metrics, NodeMetrics
from proxy.manage.migrate_run import METHODS, MoveOptions, MoveOutcome, Stop
from proxy.manage.move_figures import MoveLine, MovePlan, ShardChange, load_moves, save_moves
from proxy.manage.move_plan import Move
from proxy.manage.observer import ClusterObserver
from proxy.manage.progress import OnProgress, Progress
from proxy.manage.repair_plan import Repair
from proxy.manage.simulate import (
    Event,
    Grow,
    LoseHost,
    LoseNode,
    Reshard,
    SimulatedStep,
    Simulation,
    Standing,
    simulate,
)
from proxy.manage.simulate_figures import Assumptions, LossForecast, MoveForecast
from proxy.manage.simulate_shape import Shape, shape_of_backup, shape_of_flags
from proxy.manage.survival import Verdict
from proxy.manage.view import View
from proxy.manage.words import counted

__all__ = [
    "MANNERS",
    "METHODS",
    "AddPlan",
    "Assumptions",
    "Backup",
    "BackupNode",
    "CannotPlan",
    "ClusterInfo",
    "ClusterManager",
    "ClusterObserver",
    "CreatePlan",
    "Difference",
    "Distribution",
    "Event",
    "FailoverPlan",
    "Figures",
    "Finding",
    "Grow",
    "Health",
    "ImportOutcome",
    "ImportPlan",
    "Interrupted",
    "KeyPlace",
    "Login",
    "LoseHost",
    "LoseNode",
    "LossForecast",
    "ManageError",
    "Manner",
    "Metrics",
    "Move",
    "MoveForecast",
    "MoveLine",
    "MoveOptions",
    "MoveOutcome",
    "MovePlan",
    "NodeMetrics",
    "NodeRefused",
    "NodeState",
    "NodeUnreachable",
    "NotInTime",
    "OnProgress",
    "OpenSlot",
    "Progress",
    "RemovePlan",
    "Repair",
    "ReplicatePlan",
    "Reshard",
    "Shape",
    "ShardChange",
    "ShardShare",
    "SimulatedStep",
    "Simulation",
    "SlotRange",
    "Standing",
    "Stop",
    "Verdict",
    "View",
    "as_json",
    "as_json_text",
    "as_toml",
    "counted",
    "differences",
    "key_places",
    "load_backup",
    "load_moves",
    "manner_of",
    "parse_places",
    "places_in_order",
    "read_backup",
    "save_backup",
    "save_moves",
    "shape_of_backup",
    "shape_of_flags",
    "simulate",
    "text_of",
]
