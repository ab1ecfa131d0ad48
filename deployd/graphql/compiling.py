"""From a query of a valid document to the columns that answer it: once for each document.

Fields are collected by graphql-core itself, so that fragments, merged fields, `@skip` and `@include` mean
exactly what they mean to it. Arguments are read when it is answered, since they may be variables.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

from graphql import (
    FieldNode,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLString,
    GraphQLUnionType,
    InlineFragmentNode,
    SelectionSetNode,
    VariableNode,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetails, GroupedFieldSet, collect_fields
from strawberry.types.field import StrawberryField

from deployd.graphql.columns import (
    Abstract,
    Asked,
    Field,
    Items,
    Leaf,
    Objects,
    Read,
    Selection,
    Shape,
    Typed,
    Whole,
)

__all__ = ["Plans"]

_QUERIES = 512
"""Kept at most."""
_CONDITIONS = 16
"""Combinations of conditions that are kept of each."""

_AS_THEY_ARE = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}


class Uncompilable(Exception):
    """A query that graphql-core has to answer: introspection, and what is not known here."""


class _Known:
    """A query, by the values of the variables that its `@skip` and `@include` read."""

    __slots__ = ("conditions", "operation", "selections")

    def __init__(self, executor: Executor[Any]) -> None:
        self.operation = executor.operation  # held, so that no other one can come to have its id
        sets = [executor.operation.selection_set]
        sets += [one.selection_set for one in executor.fragment_definitions.values()]
        self.conditions = tuple(sorted({name for one in sets for name in _conditions(one)}))
        self.selections: dict[tuple[object, ...], Selection | None] = {}


class Plans:
    """Of the queries that were asked last; one for the schema."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, _Known] = OrderedDict()
        self._enums: dict[GraphQLEnumType, dict[Any, Any]] = {}

    def of(self, executor: Executor[Any]) -> Selection | None:
        """What answers the executor's query with its variables; None where only graphql-core can."""
        known = self._known.get(id(executor.operation))
        if known is None:
            known = self._known[id(executor.operation)] = _Known(executor)
            if len(self._known) > _QUERIES:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(id(executor.operation))
        values = executor.variable_values.coerced
        key = tuple(values.get(name) for name in known.conditions)
        if key not in known.selections:
            if len(known.selections) >= _CONDITIONS:
                known.selections.clear()
            known.selections[key] = self._compiled(executor)
        return known.selections[key]

    def _compiled(self, executor: Executor[Any]) -> Selection | None:
        root = executor.schema.query_type
        assert root is not None, "the schema has one"
        fields = collect_fields(
            executor.schema,
            executor.fragments,
            executor.variable_values,
            root,
            executor.operation,
            executor.hide_suggestions,
        )
        try:
            return _Compiler(executor, self._enums).selection(root, fields.grouped_field_set)
        except Uncompilable:
            return None


class _Compiler:
    """One for each query."""

    def __init__(self, executor: Executor[Any], enums: dict[GraphQLEnumType, dict[Any, Any]]) -> None:
        self._executor = executor
        self._enums = enums

    def selection(self, type_: GraphQLObjectType, fields: GroupedFieldSet) -> Selection:
        """The fields of a type."""
        if type_.is_type_of is not None:
            raise Uncompilable(f"{type_} looks at each of its objects")
        return Selection(type_, [self._field(type_, key, details) for key, details in fields.items()])

    def _field(self, parent: GraphQLObjectType, key: str, details: Sequence[FieldDetails]) -> Field:
        name = details[0].node.name.value
        definition = self._executor.schema.get_field(parent, name)
        if definition is None or any(one.fragment_variable_values for one in details):
            raise Uncompilable(name)
        if name == "__typename":
            return Typed(key, name, Leaf(False, str, str), False, parent.name)
        ours = definition.extensions.get("strawberry-definition")
        if not isinstance(ours, StrawberryField) or definition.resolve is None:
            raise Uncompilable(name)
        shape = self._shape(definition.type, definition, details, parent)
        if ours.is_basic_field:
            return Read(key, name, shape, _waits(shape), attrgetter(ours.python_name))
        resolver = None if ours.base_resolver is None else ours.base_resolver.wrapped_func
        return Asked(
            key,
            name,
            shape,
            ours.is_async or _waits(shape),
            definition,
            details,
            parent,
            definition.resolve,
            getattr(resolver, "many", None),
            _wanted(shape),
            ours.is_async,
            getattr(resolver, "settled", False),
        )

    def _shape(
        self,
        type_: GraphQLOutputType,
        definition: GraphQLField,
        details: Sequence[FieldDetails],
        parent: GraphQLObjectType,
    ) -> Shape:
        nullable = not isinstance(type_, GraphQLNonNull)
        bare = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        if isinstance(bare, GraphQLList):
            return Items(nullable, self._shape(bare.of_type, definition, details, parent))
        if isinstance(bare, GraphQLEnumType):
            return Leaf(nullable, bare.coerce_output_value, None, self._enums.setdefault(bare, {}))
        if bare is GraphQLInt:
            return Whole(nullable, GraphQLInt.coerce_output_value)
        if isinstance(bare, GraphQLScalarType):
            return Leaf(nullable, bare.coerce_output_value, _AS_THEY_ARE.get(bare))
        if isinstance(bare, GraphQLObjectType):
            return Objects(nullable, self._below(bare, details))
        if isinstance(bare, GraphQLUnionType) and bare.resolve_type is not None:
            resolve = bare.resolve_type
            return Abstract(
                nullable,
                lambda value, info: resolve(value, info, bare),
                {one.name: self._below(one, details) for one in bare.types},
                definition,
                details,
                parent,
            )
        raise Uncompilable(str(bare))

    def _below(self, type_: GraphQLObjectType, details: Sequence[FieldDetails]) -> Selection:
        found = self._executor.collect_subfields(type_, list(details))
        if found.new_defer_usages:
            raise Uncompilable("@defer")
        return self.selection(type_, found.grouped_field_set)


def _wanted(shape: Shape) -> frozenset[str]:
    match shape:
        case Items(item=item):
            return _wanted(item)
        case Objects(selection=selection):
            return frozenset(one.name for one in selection.fields)
        case _:
            return frozenset()


def _waits(shape: Shape) -> bool:
    """Whether completing it may have to wait."""
    match shape:
        case Items(item=item):
            return _waits(item)
        case Objects(selection=selection):
            return any(one.waits for one in selection.fields)
        case Abstract(selections=selections):
            return any(one.waits for each in selections.values() for one in each.fields)
        case _:
            return False


def _conditions(selections: SelectionSetNode) -> Iterator[str]:
    """The variables that decide what is selected."""
    for node in selections.selections:
        for directive in node.directives or ():
            for argument in directive.arguments or ():
                if isinstance(argument.value, VariableNode):
                    yield argument.value.name.value
        if isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set is not None:
            yield from _conditions(node.selection_set)
