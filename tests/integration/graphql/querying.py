"""Queries by chance: whatever the schema lets one ask, with values that are right or wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

DEEPEST = 6
"""Levels of fields with fields."""
NAMES_OF_FRAGMENTS = "ABCDEFGH"


@dataclass
class Asked:
    """A query, as it is drawn."""

    document: str
    variables: dict[str, Any]


@dataclass
class _Draft:
    random: Random
    values: Mapping[str, Sequence[Any]]
    """What may be sent for arguments of a name."""
    declared: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)
    aliases: int = 0
    left: int = 24
    """Fields that may still be added."""

    def any(self, options: Sequence[Any]) -> Any:
        return self.random.choice(options)

    def often(self) -> bool:
        return bool(self.random.randint(0, 3))

    def seldom(self) -> bool:
        return not self.random.randint(0, 3)

    def selection(self, type_: GraphQLObjectType | GraphQLUnionType, depth: int) -> str:
        """In braces; never empty, unless all of it is skipped."""
        parts = [self.part(type_, depth) for _ in range(self.random.randint(1, 5))]
        if isinstance(type_, GraphQLUnionType):
            parts += ["__typename", *(self.inline(one, depth) for one in type_.types if self.often())]
        return "{ " + " ".join(parts) + " }"

    def part(self, type_: GraphQLObjectType | GraphQLUnionType, depth: int) -> str:
        if isinstance(type_, GraphQLUnionType):
            return self.inline(self.any(type_.types), depth)
        match self.random.randint(0, 11):
            case 0:
                return self.inline(type_, depth)
            case 1 if len(self.fragments) < len(NAMES_OF_FRAGMENTS):
                name = NAMES_OF_FRAGMENTS[len(self.fragments)]
                self.fragments.append("")
                self.fragments[NAMES_OF_FRAGMENTS.index(name)] = (
                    f"fragment {name} on {type_.name} {self.selection(type_, depth)}"
                )
                return " ".join(f"...{name} {self.condition()}" for _ in range(self.random.randint(1, 2)))
            case 2:
                return f"__typename {self.condition()}"
            case _:
                return self.field(type_, depth)

    def inline(self, type_: GraphQLObjectType, depth: int) -> str:
        on = f"on {type_.name} " if self.often() else f"on {type_.name}"
        return f"... {on} {self.condition()} {self.selection(type_, depth)}"

    def field(self, type_: GraphQLObjectType, depth: int) -> str:
        self.left -= 1
        deeper = depth < DEEPEST and self.left > 0
        there = [
            name
            for name, one in type_.fields.items()
            if name not in LEFT_OUT and (deeper or is_leaf_type(get_named_type(one.type)))
        ]
        if not there:
            return "__typename"
        name = self.any(there)
        one = type_.fields[name]
        alias = ""
        if (one.args or self.seldom()) and self.aliases < 28:
            self.aliases += 1
            alias = f"{name}{self.aliases}: "
        return f"{alias}{name}{self.arguments(one)} {self.condition()} {self.below(one, depth)}"

    def below(self, one: GraphQLField, depth: int) -> str:
        inner = get_named_type(one.type)
        return "" if is_leaf_type(inner) else self.selection(inner, depth + 1)  # type: ignore[arg-type]

    def arguments(self, one: GraphQLField) -> str:
        sent = [
            f"{name}: {self.value(name, argument)}"
            for name, argument in one.args.items()
            if is_required_argument(argument) or self.seldom()
        ]
        return f"({', '.join(sent)})" if sent else ""

    def value(self, name: str, argument: GraphQLArgument) -> str:
        """As a literal, or by a variable, which may have a default."""
        type_ = get_named_type(argument.type)
        required = is_required_argument(argument)
        if isinstance(type_, GraphQLEnumType):
            value, literal = (text := self.any(sorted(type_.values))), text
        elif type_.name == "Boolean":
            value = self.any([True, False])
            literal = str(value).lower()
        else:
            value = self.any(self.values[name])
            literal = f'"{value}"' if isinstance(value, str) else str(value)
        if not self.often():
            return literal
        if self.seldom():
            return self.declare(argument.type, value, literal)
        return literal if required or self.often() else "null" if "!" not in str(argument.type) else literal

    def declare(self, type_: GraphQLInputType, value: Any, literal: str) -> str:
        name = f"v{len(self.declared)}"
        default = f" = {literal}" if self.seldom() else ""
        self.declared.append(f"${name}: {type_}{default}")
        if not default or self.often():
            self.variables[name] = value
        return f"${name}"

    def condition(self) -> str:
        if self.random.randint(0, 7) or len(self.declared) > 12:
            return ""
        yes = self.any([True, False])
        text = str(yes).lower()
        if self.often():
            name = f"v{len(self.declared)}"
            self.declared.append(f"${name}: Boolean!")
            self.variables[name] = yes
            text = f"${name}"
        return f"@{self.any(['skip', 'include'])}(if: {text})"


LEFT_OUT = frozenset({"doctor"})
"""What tells the time of day, or asks programs outside."""


def query(random: Random, schema: GraphQLSchema, values: Mapping[str, Sequence[Any]]) -> Asked:
    """One of the schema; `values` are those that its arguments may have."""
    draft = _Draft(random, values)
    root = schema.query_type
    assert root is not None
    body = draft.selection(root, 1)
    head = f"query Q({', '.join(draft.declared)}) " if draft.declared else "query Q "
    return Asked("\n".join([head + body, *draft.fragments]), draft.variables)
