"""Every act and every answer, by kind."""

from __future__ import annotations

from deployd.engine import changes, deployments, resources, services
from deployd.engine.outcome import Acts, Answers
from deployd.model.state import MachineKind

__all__ = ["ACTS", "ANSWERS"]

ACTS: Acts = {**services.ACTS, **deployments.ACTS, **changes.ACTS, **resources.ACTS}

ANSWERS: Answers = {
    MachineKind.SERVICE: services.answer,
    MachineKind.DEPLOYMENT: deployments.answer,
    MachineKind.CHANGE: changes.answer,
    MachineKind.RESOURCE: resources.answer,
}
