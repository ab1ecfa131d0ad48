"""The one policy. Every query, mutation, subscription and route asks it, by the name of what is done."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from deployd.errors import Forbidden, Unauthenticated
from deployd.model.actor import Actor, Role

__all__ = ["Action", "require"]


class Action(StrEnum):
    """What can be done."""

    VIEW = "view"
    DEPLOY = "deploy"
    CANCEL = "cancel"
    RETRY = "retry"
    ROLL_BACK = "roll_back"
    APPROVE = "approve"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETIRE = "retire"
    CREATE_WORLD = "create_world"
    SET_GATES = "set_gates"
    RETIRE_WORLD = "retire_world"
    DELETE_RESOURCE = "delete_resource"
    SET_SECRET = "set_secret"  # noqa: S105 - a name
    UNSET_SECRET = "unset_secret"  # noqa: S105
    LIST_SECRETS = "list_secrets"
    RUN = "run"
    PLAN = "plan"
    HOLD = "hold"
    SCALE = "scale"
    UPDATE_WORLD = "update_world"
    CREATE_RESOURCE = "create_resource"
    UPDATE_RESOURCE = "update_resource"
    ADOPT_RESOURCE = "adopt_resource"
    MANAGE_TOKENS = "manage_tokens"
    READ_AUDIT = "read_audit"
    SEE_METRICS = "see_metrics"
    STOP_SERVER = "stop_server"
    DIAGNOSE = "diagnose"
    MAINTAIN = "maintain"


_RANK = {role: rank for rank, role in enumerate((Role.VIEWER, Role.DEVELOPER, Role.OPERATOR, Role.ADMIN))}

_LEAST: dict[Action, Role] = {
    Action.VIEW: Role.VIEWER,
    Action.DEPLOY: Role.DEVELOPER,
    Action.CANCEL: Role.DEVELOPER,
    Action.RETRY: Role.DEVELOPER,
    Action.ROLL_BACK: Role.DEVELOPER,
    Action.SUSPEND: Role.DEVELOPER,
    Action.RESUME: Role.DEVELOPER,
    Action.SET_SECRET: Role.DEVELOPER,
    Action.UNSET_SECRET: Role.DEVELOPER,
    Action.LIST_SECRETS: Role.DEVELOPER,
    Action.RUN: Role.DEVELOPER,
    Action.PLAN: Role.DEVELOPER,
    Action.HOLD: Role.DEVELOPER,
    Action.SCALE: Role.DEVELOPER,
    Action.APPROVE: Role.OPERATOR,
    Action.RETIRE: Role.OPERATOR,
    Action.CREATE_WORLD: Role.OPERATOR,
    Action.SET_GATES: Role.OPERATOR,
    Action.RETIRE_WORLD: Role.OPERATOR,
    Action.DELETE_RESOURCE: Role.OPERATOR,
    Action.UPDATE_WORLD: Role.OPERATOR,
    Action.CREATE_RESOURCE: Role.OPERATOR,
    Action.UPDATE_RESOURCE: Role.OPERATOR,
    Action.ADOPT_RESOURCE: Role.OPERATOR,
    Action.READ_AUDIT: Role.OPERATOR,
    Action.SEE_METRICS: Role.VIEWER,
    Action.DIAGNOSE: Role.OPERATOR,
    Action.MAINTAIN: Role.ADMIN,
    Action.MANAGE_TOKENS: Role.ADMIN,
    Action.STOP_SERVER: Role.ADMIN,
}


def require(actor: Actor | None, action: Action, world: str | None) -> Actor:
    """The actor, if it may do this in the world of this name; None: what belongs to no world.

    Asked before anything is looked up, so that who may not see a world is not told whether it exists.
    Raises Unauthenticated without an actor or after its time, Forbidden when its role is too low or the
    world is none of its own.
    """
    if actor is None:
        raise Unauthenticated(
            "a token is needed", remedy="Send `Authorization: Bearer TOKEN`, or set DEPLOYD_TOKEN."
        )
    if actor.expires_at is not None and actor.expires_at <= datetime.now(UTC):
        raise Unauthenticated("the token has expired", remedy="Ask for a new one: deployd token create.")
    least = _LEAST[action]
    what = action.replace("_", " ")
    if _RANK[actor.role] < _RANK[least]:
        raise Forbidden(
            f"{actor.name} is {actor.role} and may not {what}",
            remedy=f"Ask somebody with the role {least} or higher.",
        )
    if world is None and actor.worlds is not None and action is not Action.VIEW:
        raise Forbidden(
            f"{actor.name} is for {_listed(actor.worlds)} only and may not {what}",
            remedy="Ask somebody whose token is for all worlds.",
        )
    if world is not None and not actor.reaches(world):
        raise Forbidden(
            f"{actor.name} is for {_listed(actor.worlds or ())} only, not for world {world!r}",
            remedy="Name a world that the token is for, or ask for another token.",
        )
    return actor


def _listed(worlds: tuple[str, ...]) -> str:
    return f"world{'' if len(worlds) == 1 else 's'} {', '.join(worlds)}"
