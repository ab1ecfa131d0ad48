"""The machines: one table for each kind, and the one runner."""

from deployd.machines.change import CHANGE
from deployd.machines.deployment import DEPLOYMENT
from deployd.machines.resource import RESOURCE
from deployd.machines.runner import Runner
from deployd.machines.service import SERVICE
from deployd.machines.table import Row, State, Table
from deployd.model.state import MachineKind

__all__ = ["RUNNERS", "TABLES", "Row", "Runner", "State", "Table"]

TABLES: dict[MachineKind, Table] = {table.kind: table for table in (SERVICE, DEPLOYMENT, RESOURCE, CHANGE)}
RUNNERS: dict[MachineKind, Runner] = {kind: Runner(table) for kind, table in TABLES.items()}
