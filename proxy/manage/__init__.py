"""Create, inspect, check, grow, shrink and repair a cluster, live. The face is ``ClusterManager``.

Decisions are pure functions of a ``View``, what all nodes say at one moment: ``*_plan``,
``inspect``, ``agreement``, ``dealing``. Only ``look`` reads it from the network, only
``*_run`` changes anything, and both go through ``links``.
"""

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
from proxy.manage.import_run import ImportOutcome
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
from proxy.manage.member_plan import AddPlan, RemovePlan
from proxy.manage.metrics import Figures, Metrics, NodeMetrics
from proxy.manage.migrate_run import METHODS, MoveOptions, MoveOutcome, Stop
from proxy.manage.move_figures import MoveLine, MovePlan, ShardChange, load_moves, save_moves
from proxy.manage.move_plan import Move
from proxy.manage.observer import ClusterObserver
from proxy.manage.progress import OnProgress, Progress
from proxy.manage.survival import Verdict
from proxy.manage.values import as_json, text_of
from proxy.manage.view import View

__all__ = [
    "METHODS",
    "AddPlan",
    "CannotPlan",
    "ClusterInfo",
    "ClusterManager",
    "ClusterObserver",
    "CreatePlan",
    "Distribution",
    "Figures",
    "Finding",
    "Health",
    "ImportOutcome",
    "Interrupted",
    "KeyPlace",
    "Login",
    "ManageError",
    "Metrics",
    "Move",
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
    "ShardChange",
    "ShardShare",
    "SlotRange",
    "Stop",
    "Verdict",
    "View",
    "as_json",
    "key_places",
    "load_moves",
    "save_moves",
    "text_of",
]
