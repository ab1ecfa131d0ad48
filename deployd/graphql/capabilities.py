"""Capabilities: what a world can do, and what is behind it."""

from __future__ import annotations

from typing import Self

import strawberry
from strawberry.scalars import JSON

from deployd.access.policy import Action
from deployd.catalog import offered
from deployd.drivers import api as drivers
from deployd.drivers.api import Deployer, Logs, Provisioner, Router
from deployd.errors import DeploydError
from deployd.graphql.context import Info
from deployd.graphql.fields import resolved
from deployd.model import world as words
from deployd.model.sensitive import hidden

__all__ = ["Capability", "CapabilityInput", "Gate", "GateInput", "Supports", "capabilities_of", "gates_of"]


@strawberry.type(description="What planning asks of what runs services.")
class Supports:
    """The drivers' Supports."""

    runs: str = strawberry.field(description="`tree` or `image`: what a release has to bring.")
    http: bool = strawberry.field(description="Whether services may have ports that talk HTTP.")
    tcp: bool = strawberry.field(description="Whether they may have ports that talk something else.")
    max_scale: int = strawberry.field(description="How many copies of a service may run.")
    rollouts: list[str] = strawberry.field(description="The strategies by which releases are rolled out.")
    tasks: bool = strawberry.field(description="Whether commands run once: `before:` and `schedule:`.")
    bound_to_host: bool = strawberry.field(description="Whether what runs is on deployd's own host.")

    @classmethod
    def of(cls, one: drivers.Supports) -> Self:
        """As the driver says it."""
        return cls(
            runs=one.runs,
            http=one.http,
            tcp=one.tcp,
            max_scale=one.max_scale,
            rollouts=sorted(one.rollouts),
            tasks=one.tasks,
            bound_to_host=one.bound_to_host,
        )


@strawberry.type(description="Something that a world can do: a named instance of a driver.")
class Capability:
    """The model's Capability, under its name."""

    model: strawberry.Private[words.Capability]
    world: strawberry.Private[str]
    name: str = strawberry.field(description="As services choose it; `main` by default.")
    driver: str = strawberry.field(description="The driver behind it.")
    approval: bool = strawberry.field(description="Whether deployments through it wait for an approval.")
    limit: int | None = strawberry.field(
        description="How many deployments, resources and stops of services it works at, at once: the others"
        " wait for their turn. Null: all."
    )
    keys: list[str] = strawberry.field(description="What its configuration sets.")

    @resolved(
        description="Its configuration as a JSON object, without secrets: `(hidden)` stands in"
        " their place. For"
        " operators; null for others."
    )
    def config(self, info: Info) -> JSON | None:
        context = info.context
        if context.api.access.may(context.actor, Action.UPDATE_WORLD, self.world) is not None:
            return None
        return JSON(hidden(self.model.config))

    @resolved(
        description="What it does: `deploys`, `provisions`, `routes`, `logs`; nothing where it is broken."
    )
    def does(self, info: Info) -> list[str]:
        driver, _ = self._driver(info)
        deploys = isinstance(driver, Deployer)
        does = {
            "deploys": deploys,
            "provisions": isinstance(driver, Provisioner) and not deploys,  # whose methods deployers have too
            "routes": isinstance(driver, Router),
            "logs": isinstance(driver, Logs),
        }
        return [word for word, so in does.items() if so]

    @resolved(description="What it can do for services; null where it does not run any.")
    def supports(self, info: Info) -> Supports | None:
        driver, _ = self._driver(info)
        return Supports.of(driver.supports) if isinstance(driver, Deployer) else None

    @resolved(description="Why it does not work, where its driver cannot be made with this configuration.")
    def broken(self, info: Info) -> str | None:
        return self._driver(info)[1]

    @resolved(description="The slugs of the resources that it makes.")
    def slugs(self) -> list[str]:
        return sorted(offered({self.name: self.model}))

    def _driver(self, info: Info) -> tuple[object, str | None]:
        """The driver, or why there is none."""
        try:
            return info.context.api.driver(self.driver, self.model.config), None
        except DeploydError as error:
            return None, error.message


@strawberry.type(description="Named firewall rules. What a gate does not allow is refused.")
class Gate:
    """The model's Gate, under its name."""

    name: str = strawberry.field(description="As routes name it.")
    allow: list[str] = strawberry.field(description="Networks that may come in, in CIDR notation.")
    ports: list[int] = strawberry.field(description="Ports of the entrypoint; none: all that it has.")


@strawberry.input(description="Named firewall rules.")
class GateInput:
    """One gate."""

    name: str = strawberry.field(description="As routes will name it.")
    allow: list[str] = strawberry.field(description="Networks that may come in, such as 203.0.113.0/24.")
    ports: list[int] = strawberry.field(
        default_factory=list, description="Ports of the entrypoint; none: all that it has."
    )


@strawberry.input(description="Something that a world shall be able to do.")
class CapabilityInput:
    """One capability."""

    name: str = strawberry.field(description="As services will choose it; `main` by default.")
    driver: str = strawberry.field(description="The driver behind it.")
    config: JSON | None = strawberry.field(
        default=None,
        description="Its configuration, a JSON object; a secret that is `(hidden)` stays as it is."
        " Null: the defaults.",
    )
    approval: bool = strawberry.field(
        default=False, description="Whether deployments through it wait for an approval."
    )
    limit: int | None = strawberry.field(
        default=None,
        description="How many deployments, resources and stops of services it may work at, at once, from 1 to"
        " 10000. Null: all.",
    )


def capabilities_of(world: words.World) -> list[Capability]:
    """What the world can do, in its order."""
    return [
        Capability(
            model=one,
            world=world.name,
            name=name,
            driver=one.driver,
            approval=one.approval,
            limit=one.limit,
            keys=sorted(one.config),
        )
        for name, one in world.capabilities.items()
    ]


def gates_of(world: words.World) -> list[Gate]:
    """Who may come into it."""
    return [
        Gate(name=name, allow=list(one.allow), ports=list(one.ports)) for name, one in world.gates.items()
    ]
