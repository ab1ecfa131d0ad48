"""Answering a compiled selection column by column: each field for all objects of a level at once.

What graphql-core does object by object and field by field is done here once for each field of the document,
however many objects there are; what is asked of the database for one of them is asked for all together.

Invariant: an answer of this module is the one that graphql-core would give, and has no errors. Whatever
graphql-core could find an error in raises here, and it is asked instead (execution.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    Undefined,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path

from deployd.graphql.context import Context
from deployd.graphql.lasting import Lasting, Place

__all__ = [
    "Abstract",
    "Asked",
    "Field",
    "Items",
    "Leaf",
    "Objects",
    "Read",
    "Selection",
    "Shape",
    "Surprise",
    "Typed",
]

Values = Sequence[Any]
Classes = set[type]

_NOTHING = type(None)
_NEVER = type(Undefined)


class Surprise(Exception):
    """Something that only graphql-core can answer exactly: most likely an error."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What values become in the answer."""

    nullable: bool

    async def complete(self, executor: Executor[Any], values: Values) -> Values:
        """One for each value, in order."""
        classes = set(map(type, values))
        if _NEVER in classes or any(issubclass(one, Exception) for one in classes):
            raise Surprise("an error in place of a value")
        if _NOTHING not in classes:
            return await self.present(executor, values, classes)
        if not self.nullable:
            raise Surprise("null where there must be something")
        classes.remove(_NOTHING)
        there = [one for one in values if one is not None]
        filled = iter(await self.present(executor, there, classes))
        return [None if one is None else next(filled) for one in values]

    async def present(self, executor: Executor[Any], values: Values, classes: Classes) -> Values:
        """The same for values that are there, all of them of these classes."""
        raise NotImplementedError

    @property
    def lasts(self) -> bool:
        """Whether equal values always become the same."""
        return False

    @property
    def settled(self) -> bool:
        """Whether the same values become the same until something of their world is written."""
        return self.lasts


@dataclass(frozen=True, slots=True, eq=False)
class Leaf(Shape):
    """A scalar or an enum."""

    coerce: Callable[[Any], Any]
    """graphql-core's own."""
    as_it_is: type | None = None
    """A class whose values are answered as they are."""
    known: dict[Any, Any] | None = None
    """What values became: for enums, whose values are few and of one class."""

    async def present(self, executor: Executor[Any], values: Values, classes: Classes) -> Values:
        if len(classes) == 1:
            if self.as_it_is in classes:
                return values
            if self.known is not None:
                for one in set(values) - self.known.keys():
                    self.known[one] = self._coerced(one)
                return [self.known[one] for one in values]
        return list(map(self._coerced, values))

    @property
    def lasts(self) -> bool:
        return True

    def _coerced(self, value: Any) -> Any:
        found = self.coerce(value)
        if found is None or found is Undefined:
            raise Surprise("a value that its type does not have")
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Whole(Leaf):
    """A number of 32 bits."""

    async def present(self, executor: Executor[Any], values: Values, classes: Classes) -> Values:
        if classes == {int} and min(values) >= -(2**31) and max(values) < 2**31:
            return values
        return list(map(self._coerced, values))


@dataclass(frozen=True, slots=True, eq=False)
class Items(Shape):
    """A list: the items of all lists are completed together."""

    item: Shape

    @property
    def settled(self) -> bool:
        return self.item.settled

    async def present(self, executor: Executor[Any], values: Values, classes: Classes) -> Values:
        if not classes <= {list, tuple}:
            raise Surprise("a list of another kind")
        items = iter(await self.item.complete(executor, list(chain.from_iterable(values))))
        return [list(islice(items, len(one))) for one in values]

    @property
    def lasts(self) -> bool:
        return self.item.lasts


@dataclass(frozen=True, slots=True, eq=False)
class Objects(Shape):
    """Objects of one type."""

    selection: Selection

    @property
    def settled(self) -> bool:
        return all(one.settled for one in self.selection.fields)

    async def present(self, executor: Executor[Any], values: Values, classes: Classes) -> Values:
        return await self.selection.rows(executor, values)

    @property
    def lasts(self) -> bool:
        return all(one.lasts for one in self.selection.fields)


@dataclass(frozen=True, slots=True, eq=False)
class Abstract(Shape):
    """Objects of one of several types."""

    resolve: Callable[[Any, Any], Any]
    """The name of a value's type, as graphql-core finds it."""
    selections: Mapping[str, Selection]
    """Of each possible type."""
    definition: GraphQLField
    details: Sequence[FieldDetails]
    parent: GraphQLObjectType

    @property
    def settled(self) -> bool:
        return all(field.settled for one in self.selections.values() for field in one.fields)

    async def present(self, executor: Executor[Any], values: Values, classes: Classes) -> Values:
        info = _info(executor, self.definition, self.details, self.parent)
        places: dict[str, list[int]] = {}
        for place, value in enumerate(values):
            places.setdefault(self.resolve(value, info), []).append(place)
        if not places.keys() <= self.selections.keys():
            raise Surprise("a type that it cannot be")
        found: list[Any] = [None] * len(values)
        rows = await _together(
            [
                self.selections[name].rows(executor, [values[place] for place in there])
                for name, there in places.items()
            ]
        )
        for there, made in zip(places.values(), rows, strict=True):
            for place, row in zip(there, made, strict=True):
                found[place] = row
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One key of an object in the answer."""

    key: str
    name: str
    """In the schema; `key` may be an alias."""
    shape: Shape
    waits: bool
    """Whether something is asked, here or below."""

    async def column(self, executor: Executor[Any], sources: Values) -> Values:
        """Its completed value of each source, in order."""
        return await self.shape.complete(executor, await self.read(executor, sources))

    async def read(self, executor: Executor[Any], sources: Values) -> Values:
        """Its value of each source."""
        raise NotImplementedError

    @property
    def lasts(self) -> bool:
        """Whether it is the same for ever of a source that never changes."""
        return False

    @property
    def settled(self) -> bool:
        """Whether it is the same of the same source until something of its world is written."""
        return self.lasts


@dataclass(frozen=True, slots=True, eq=False)
class Typed(Field):
    """`__typename`."""

    type: str

    async def read(self, executor: Executor[Any], sources: Values) -> Values:
        return [self.type] * len(sources)

    @property
    def lasts(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, eq=False)
class Read(Field):
    """An attribute."""

    get: Callable[[Any], Any]

    @property
    def settled(self) -> bool:
        return self.shape.settled

    async def read(self, executor: Executor[Any], sources: Values) -> Values:
        return list(map(self.get, sources))

    @property
    def lasts(self) -> bool:
        return self.shape.lasts


@dataclass(frozen=True, slots=True, eq=False)
class Asked(Field):
    """A resolver: called for each source, or for all at once where it can be (`many` of fields.resolved)."""

    definition: GraphQLField
    details: Sequence[FieldDetails]
    parent: GraphQLObjectType
    resolve: Callable[..., Any]
    many: Callable[..., Awaitable[Values]] | None
    wanted: frozenset[str]
    """The names of the fields that are selected below."""
    asynchronous: bool
    itself_settled: bool
    keeps: bool = field(init=False)
    """Whether what it says of a world is kept; found out once, since `settled` looks at all that is below."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "keeps", self.settled)

    @property
    def settled(self) -> bool:
        return self.itself_settled and self.shape.settled

    async def column(self, executor: Executor[Any], sources: Values) -> Values:
        context, variables = executor.context_value, executor.variable_values.coerced
        if (
            not self.keeps
            or not isinstance(sources[0], Place)
            or not isinstance(context, Context)
            or not all(isinstance(one, Hashable) for one in variables.values())
        ):
            return await Field.column(self, executor, sources)
        places = tuple(one.place for one in sources)
        return await context.settled(
            (self, places, *variables.items()),
            tuple(world_id for world_id, _ in places),
            lambda: Field.column(self, executor, sources),
        )

    async def read(self, executor: Executor[Any], sources: Values) -> Values:
        first = self.details[0]
        arguments = get_argument_values(
            self.definition,
            first.node,
            executor.variable_values,
            first.fragment_variable_values,
            executor.hide_suggestions,
        )
        if self.many is not None:
            return await self.many(executor.context_value, sources, self.wanted, **arguments)
        info = _info(executor, self.definition, self.details, self.parent)
        found = [self.resolve(source, info, **arguments) for source in sources]
        return await _together(found) if self.asynchronous else found


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The fields of one type."""

    type: GraphQLObjectType
    fields: Sequence[Field]
    keys: Sequence[str] = field(init=False)
    lasting: Sequence[Field] = field(init=False)
    others: Sequence[Field] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(one.key for one in self.fields))
        object.__setattr__(self, "lasting", tuple(one for one in self.fields if one.lasts))
        object.__setattr__(self, "others", tuple(one for one in self.fields if not one.lasts))

    async def rows(self, executor: Executor[Any], sources: Values) -> list[dict[str, Any]]:
        """The object in the answer for each source. Whoever gets them does not change them."""
        if not sources:
            return []
        if self.lasting and isinstance(sources[0], Lasting):
            return await self._known(executor, sources)
        if not self.fields:
            return [{} for _ in sources]
        columns = await _columns(executor, self.fields, sources)
        return [dict(zip(self.keys, row, strict=True)) for row in zip(*columns, strict=True)]

    async def _known(self, executor: Executor[Any], sources: Sequence[Lasting]) -> list[dict[str, Any]]:
        """The same of objects that never change: only what is another each time is found out anew."""
        rows = [one.known_row(self) for one in sources]
        if None in rows:
            new = [one for one, row in zip(sources, rows, strict=True) if row is None]
            columns = await _columns(executor, self.lasting, new)
            blank = dict.fromkeys(self.keys)
            names = [one.key for one in self.lasting]
            for one, values in zip(new, zip(*columns, strict=True), strict=True):
                one.know_row(self, {**blank, **dict(zip(names, values, strict=True))})
            rows = [one.known_row(self) for one in sources]
        found = [row for row in rows if row is not None]
        if self.others:
            found = [row.copy() for row in found]
            columns = await _columns(executor, self.others, sources)
            for other, column in zip(self.others, columns, strict=True):
                for row, value in zip(found, column, strict=True):
                    row[other.key] = value
        return found


async def _columns(executor: Executor[Any], fields: Sequence[Field], sources: Values) -> list[Values]:
    """What each of the fields is of each source; those that wait, wait together."""
    columns: list[Values] = [() if one.waits else await one.column(executor, sources) for one in fields]
    waiting = [place for place, one in enumerate(fields) if one.waits]
    found = await _together([fields[place].column(executor, sources) for place in waiting])
    for place, column in zip(waiting, found, strict=True):
        columns[place] = column
    return columns


async def _together(work: Sequence[Awaitable[Any]]) -> list[Any]:
    """What all of it comes to. When one fails the others are cancelled, and have ended."""
    if len(work) < 2:
        return [await one for one in work]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_awaited(one)) for one in work]
    return [one.result() for one in tasks]


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def _info(
    executor: Executor[Any],
    definition: GraphQLField,
    details: Sequence[FieldDetails],
    parent: GraphQLObjectType,
) -> Any:
    """What resolvers are told; the path is that of the field, without the places of lists."""
    nodes = [one.node for one in details]
    key = (nodes[0].alias or nodes[0].name).value
    return executor.build_resolve_info(definition, nodes, parent, Path(None, key, parent.name))
