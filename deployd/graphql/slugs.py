"""What can be asked for in a world: slugs, with what may be said of them."""

from __future__ import annotations

from typing import Self

import strawberry
from strawberry.scalars import JSON

from deployd.catalog import Offered, example
from deployd.model.definition import Parameter

__all__ = ["Output", "Slug", "SlugParameter"]


@strawberry.type(description="What a developer may set of a resource.")
class SlugParameter:
    """The model's Parameter, under its name."""

    name: str = strawberry.field(description="As `params:` names it.")
    type: str = strawberry.field(description="`integer`, `number`, `string` or `boolean`.")
    default: JSON = strawberry.field(description="What it is where nobody says.")
    minimum: float | None = strawberry.field(description="The least that it may be; null: no bound.")
    maximum: float | None = strawberry.field(description="The most that it may be; null: no bound.")
    choices: list[JSON] = strawberry.field(description="What it may be; none: anything within its bounds.")
    description: str = strawberry.field(description="What it is about; may be empty.")

    @classmethod
    def of(cls, name: str, one: Parameter) -> Self:
        """As the definition has it."""
        return cls(
            name=name,
            type=one.type,
            default=JSON(one.default),
            minimum=one.minimum,
            maximum=one.maximum,
            choices=[JSON(each) for each in one.choices],
            description=one.description,
        )


@strawberry.type(description="What a reference may name of a resource.")
class Output:
    """One name of the model's Definition."""

    name: str = strawberry.field(description="As in ${resources.NAME.OUTPUT}.")
    secret: bool = strawberry.field(description="Whether its value is a secret.")


@strawberry.type(description="The name by which a kind of resource is asked for.")
class Slug:
    """A definition, as a world offers it."""

    slug: str = strawberry.field(description="As `resources:` names it.")
    type: str = strawberry.field(description="What it is to those who use it.")
    driver: str = strawberry.field(description="The driver that makes it.")
    capability: str = strawberry.field(description="The world's capability by which it is made.")
    description: str = strawberry.field(description="What it is; may be empty.")
    parameters: list[SlugParameter] = strawberry.field(description="What a developer may set.")
    outputs: list[Output] = strawberry.field(description="What references may name.")
    example: str = strawberry.field(description="A deployd.yaml that asks for it, right as it stands.")

    @classmethod
    def of(cls, one: Offered) -> Self:
        """The definition, with the capability that makes it."""
        definition = one.definition
        return cls(
            slug=definition.slug,
            type=definition.type,
            driver=definition.driver,
            capability=one.capability,
            description=definition.description,
            parameters=[SlugParameter.of(name, each) for name, each in definition.params.items()],
            outputs=[
                Output(name=name, secret=name in definition.secret_outputs) for name in definition.outputs
            ],
            example=example(definition),
        )
