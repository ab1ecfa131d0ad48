"""What goes on while a deployd is killed: each scenario can be begun twice, and says how it must end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deployd.model.machine import Machine
from tests.chaos.deploy_steps import (
    begin_approved,
    begin_better,
    begin_cancelled,
    begin_planned,
    begin_retired,
    begin_sick,
    begin_suspended,
    begin_unchanged,
    begin_woken,
    end_approved,
    end_better,
    end_cancelled,
    end_planned,
    end_retired,
    end_sick,
    end_suspended,
    end_unchanged,
    nothing,
    served,
    suspended,
)
from tests.chaos.hold_steps import (
    begin_adopted,
    begin_held,
    begin_held_at_work,
    begin_rolled_back,
    begin_scaled,
    end_adopted,
    end_held,
    end_held_at_work,
    end_rolled_back,
    end_scaled,
    held,
    left,
    orphaned,
    scalable,
    two_releases,
)
from tests.chaos.object_steps import (
    begin_deleted,
    begin_resource,
    begin_updated,
    end_deleted,
    end_resource,
    end_updated,
    resource,
)
from tests.chaos.process_steps import (
    begin_broken,
    begin_launch,
    begin_mute,
    end_broken,
    end_launch,
    end_mute,
    end_retired_process,
    end_suspended_process,
    launched,
)
from tests.chaos.resource_steps import (
    begin_dropped,
    begin_ended,
    begin_provided,
    begin_rested,
    begin_resumed,
    end_dropped,
    end_ended,
    end_provided,
    end_rested,
    end_resumed,
    provided,
    rested,
)
from tests.chaos.rollout_steps import (
    CANARY,
    KEEPING,
    LONG,
    RECREATE,
    Step,
    begin_cancelled_canary,
    begin_rollout,
    begin_wilting,
    end_rollout,
    is_keeping,
    is_split,
)
from tests.chaos.task_steps import (
    begin_before,
    begin_before_cancelled,
    begin_before_fails,
    begin_run,
    begin_run_suspended,
    end_before,
    end_before_cancelled,
    end_before_fails,
    end_run,
    end_run_suspended,
    scheduled,
)


@dataclass(frozen=True)
class Scenario:
    """`targets`: in which states of which kind it is died."""

    prepare: Step
    begin: Step
    end: Step
    targets: tuple[tuple[str, str], ...]
    processes: bool = False
    """With the real process driver, rather than a stand-in."""
    routed: bool = False
    """In a world with an entrypoint."""
    ephemeral: bool = False
    """In a world whose data may go with it."""
    remade: bool = False
    """What was stopped is started again: one object may be made twice, one after the other."""
    when: Callable[[Machine], bool] = lambda _: True
    """Which of the machines in these states is died with."""


def on(kind: str, *states: str) -> tuple[tuple[str, str], ...]:
    return tuple((kind, state) for state in states)


SCENARIOS: dict[str, Scenario] = {
    "first": Scenario(nothing, begin_better, end_better, on("service", "idle")),
    "better": Scenario(
        served,
        begin_better,
        end_better,
        on("change", "received", "planning", "applying")
        + on(
            "deployment",
            "queued",
            "fetching",
            "planning",
            "building",
            "provisioning",
            "releasing",
            "verifying",
        )
        + on("service", "serving", "deploying"),
    ),
    "unchanged": Scenario(served, begin_unchanged, end_unchanged, on("change", "planning", "applying")),
    "planned": Scenario(served, begin_planned, end_planned, on("change", "planning")),
    "sick": Scenario(served, begin_sick, end_sick, on("deployment", "rolling_back")),
    "cancelled": Scenario(served, begin_cancelled, end_cancelled, on("deployment", "cancelling")),
    "canary": Scenario(
        served,
        begin_rollout("better", CANARY),
        end_rollout("better", CANARY, "succeeded", "better"),
        on("deployment", "verifying"),
        routed=True,
        when=is_split,
    ),
    "wilting": Scenario(
        served,
        begin_wilting,
        end_rollout("wilting", LONG, "rolled_back", "ok"),
        on("deployment", "verifying", "rolling_back"),
        routed=True,
        when=is_split,
    ),
    "cancelled-canary": Scenario(
        served,
        begin_cancelled_canary,
        end_rollout("wilting", LONG, "cancelled", "ok"),
        on("deployment", "cancelling"),
        routed=True,
    ),
    "blue-green": Scenario(
        served,
        begin_rollout("better", KEEPING),
        end_rollout("better", KEEPING, "succeeded", "better"),
        on("deployment", "verifying"),
        routed=True,
    ),
    "kept": Scenario(
        served,
        begin_rollout("better", KEEPING),
        end_rollout("better", KEEPING, "succeeded", "better"),
        on("service", "serving"),
        routed=True,
        when=is_keeping,
    ),
    "recreate": Scenario(
        served,
        begin_rollout("better", RECREATE),
        end_rollout("better", RECREATE, "succeeded", "better"),
        on("deployment", "releasing"),
        routed=True,
    ),
    "recreate-sick": Scenario(
        served,
        begin_rollout("sick", RECREATE),
        end_rollout("sick", RECREATE, "rolled_back", "ok"),
        on("deployment", "rolling_back"),
        routed=True,
        remade=True,
    ),
    "suspended": Scenario(served, begin_suspended, end_suspended, on("service", "suspending")),
    "woken": Scenario(suspended, begin_woken, end_better, on("service", "suspended")),
    "retired": Scenario(served, begin_retired, end_retired, on("service", "retiring")),
    "approved": Scenario(
        nothing,
        begin_approved,
        end_approved,
        on("change", "awaiting_approval") + on("deployment", "awaiting_approval"),
    ),
    "resource": Scenario(
        nothing, begin_resource, end_resource, on("resource", "requested", "creating", "ready")
    ),
    "updated": Scenario(resource, begin_updated, end_updated, on("resource", "updating")),
    "deleted": Scenario(resource, begin_deleted, end_deleted, on("resource", "deleting")),
    "provided": Scenario(
        nothing,
        begin_provided,
        end_provided,
        on("deployment", "provisioning") + on("resource", "requested", "creating"),
    ),
    "dropped": Scenario(provided, begin_dropped, end_dropped, on("service", "deploying")),
    "rested": Scenario(provided, begin_rested, end_rested, on("resource", "ready")),
    "resumed": Scenario(rested, begin_resumed, end_resumed, on("service", "serving"), remade=True),
    "world ended": Scenario(
        provided, begin_ended, end_ended, on("change", "planning", "applying"), ephemeral=True
    ),
    "before": Scenario(
        served, begin_before, end_before, on("deployment", "building", "provisioning", "releasing")
    ),
    "before fails": Scenario(
        served, begin_before_fails, end_before_fails, on("deployment", "releasing", "rolling_back")
    ),
    "before cancelled": Scenario(
        served, begin_before_cancelled, end_before_cancelled, on("deployment", "cancelling")
    ),
    "run": Scenario(scheduled, begin_run, end_run, on("service", "serving")),
    "run suspended": Scenario(scheduled, begin_run_suspended, end_run_suspended, on("service", "suspending")),
    "rolled back": Scenario(
        two_releases,
        begin_rolled_back,
        end_rolled_back,
        on("service", "deploying") + on("deployment", "queued", "planning"),
        remade=True,
    ),
    "held": Scenario(held, begin_held, end_held, on("deployment", "queued")),
    "held at work": Scenario(
        left, begin_held_at_work, end_held_at_work, on("deployment", "cancelling"), remade=True
    ),
    "scaled": Scenario(scalable, begin_scaled, end_scaled, on("service", "serving")),
    "adopted": Scenario(orphaned, begin_adopted, end_adopted, on("resource", "ready")),
    "launch": Scenario(
        launched,
        begin_launch,
        end_launch,
        on("deployment", "planning", "releasing", "verifying") + on("service", "deploying", "serving"),
        processes=True,
    ),
    "broken": Scenario(launched, begin_broken, end_broken, on("deployment", "rolling_back"), processes=True),
    "mute": Scenario(launched, begin_mute, end_mute, on("deployment", "cancelling"), processes=True),
    "stopped": Scenario(
        launched, begin_suspended, end_suspended_process, on("service", "suspending"), processes=True
    ),
    "ended": Scenario(
        launched, begin_retired, end_retired_process, on("service", "retiring"), processes=True
    ),
}
