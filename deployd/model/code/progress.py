"""How requests went: changes, deployments, runs."""

from __future__ import annotations

from deployd.model.code.table import CHANGE, DEPLOYMENT, ERRORED, FAILED, RESOURCE, RUN, SERVICE, Code

__all__ = ["PROGRESS"]

PROGRESS: tuple[Code, ...] = (
    Code("CANCELLED", "Somebody cancelled it.", "", (CHANGE, DEPLOYMENT, RESOURCE), FAILED),
    Code(
        "DEADLINE_PASSED",
        "It did not get beyond a state in the time that this may last.",
        "See the evidence for what it last waited for, then retry.",
        (CHANGE, DEPLOYMENT, RESOURCE, SERVICE, RUN),
        ERRORED,
    ),
    Code("FAILED", "Deployments of the change failed, and say no more.", "See each.", (CHANGE,)),
    Code(
        "HELD",
        "Somebody holds the service, or what would be deployed to it.",
        "Lift the hold: `deployd hold SERVICE --lift`.",
        (CHANGE, DEPLOYMENT, SERVICE),
    ),
    Code("HOLD_LIFTED", "Somebody lifted a hold.", "Nothing.", (SERVICE,), None),
    Code("INTERNAL", "A fault of deployd itself.", "Look into the server's log.", (), ERRORED, error=True),
    Code("NOTHING_TO_DO", "All services serve already what was asked for.", "", (CHANGE,), None),
    Code(
        "REPLACEMENT_NOT_PLANNED",
        "A resource would be replaced, which its plan did not name.",
        "Deploy again, and approve the new plan.",
        (DEPLOYMENT,),
    ),
    Code("RUN_CANCELLED", "A run was ended before it was done.", "", (RUN,), FAILED),
    Code("RUN_SKIPPED", "A run was due while the one before was still under way.", "", (RUN,), None),
    Code("RUN_SUCCEEDED", "A run ended with exit status 0.", "", (RUN,), None),
    Code("SUPERSEDED", "A newer deployment of the service took its place.", "", (DEPLOYMENT,), None),
)
