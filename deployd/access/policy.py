"""The one policy. Every query, mutation, subscription and route asks it, by the name of what is done."""

from __future__ import annotations

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
    STOP_SERVER = "stop_server"


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
    Action.APPROVE: Role.OPERATOR,
    Action.RETIRE: Role.OPERATOR,
    Action.CREATE_WORLD: Role.OPERATOR,
    Action.SET_GATES: Role.OPERATOR,
    Action.RETIRE_WORLD: Role.OPERATOR,
    Action.DELETE_RESOURCE: Role.OPERATOR,
    Action.STOP_SERVER: Role.ADMIN,
}


def require(actor: Actor | None, action: Action) -> Actor:
    """The actor, if it may. Raises Unauthenticated without one, Forbidden when its role is too low."""
    if actor is None:
        raise Unauthenticated(
            "a token is needed", remedy="Send `Authorization: Bearer TOKEN`, or set DEPLOYD_TOKEN."
        )
    least = _LEAST[action]
    if _RANK[actor.role] < _RANK[least]:
        raise Forbidden(
            f"{actor.name} is {actor.role} and may not {action.replace('_', ' ')}",
            remedy=f"Ask somebody with the role {least} or higher.",
        )
    return actor
