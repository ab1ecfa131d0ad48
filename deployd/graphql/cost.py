"""What an operation costs: the objects that it may answer with, counted before anything is read.

- An object costs 1; its scalars and enums are free, since they come with it. Introspection is free.
- A list multiplies what is below it by `first`: as it is sent, else as the schema has it by default.
- A page (an object with `first` whose lists have none, such as `transitions`) hands its `first` down to them.
- Any other list counts as LIST objects.
- A subscription costs what one of its events costs; each type of a union is counted.

`{ service(…) { deployments(first: 20) { release { id } } } }` costs 1 + 20 * (1 + 1) = 41.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
)

__all__ = ["LIMIT", "LIST", "cost_of"]

LIMIT = 20_000
"""Objects that one operation may answer with."""
LIST = 10
"""Objects that a list counts as that has no `first`."""


def cost_of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, object],
) -> int:
    """The cost of an operation of a valid document."""
    root = schema.get_root_type(operation.operation)
    assert root is not None, "the document is valid"
    given = dict(_defaults(operation))
    given |= variables
    return _Cost(schema, document, given).selection(root, operation.selection_set, None)


def _defaults(operation: OperationDefinitionNode) -> Mapping[str, object]:
    """Variables with a whole number as their default."""
    return {
        one.variable.name.value: int(one.default_value.value)
        for one in operation.variable_definitions or ()
        if isinstance(one.default_value, IntValueNode)
    }


class _Cost:
    """One for each operation."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, object]
    ) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._known: dict[tuple[str, int | None], int] = {}

    def selection(self, parent: GraphQLNamedType, selections: SelectionSetNode, page: int | None) -> int:
        """For one object of `parent`, which is a page of so many, if it is one."""
        cost = 0
        for node in selections.selections:
            match node:
                case FieldNode():
                    cost += self._field(parent, node, page)
                case InlineFragmentNode(type_condition=condition, selection_set=inner):
                    type_ = self._schema.type_map[condition.name.value] if condition else parent
                    cost += self.selection(type_, inner, page)
                case FragmentSpreadNode(name=name):
                    cost += self._fragment(name.value, page)
        return cost

    def _fragment(self, name: str, page: int | None) -> int:
        if (name, page) not in self._known:
            one = self._fragments[name]
            type_ = self._schema.type_map[one.type_condition.name.value]
            self._known[name, page] = self.selection(type_, one.selection_set, page)
        return self._known[name, page]

    def _field(self, parent: GraphQLNamedType, node: FieldNode, page: int | None) -> int:
        if node.selection_set is None or node.name.value.startswith("__"):
            return 0
        assert isinstance(parent, (GraphQLObjectType, GraphQLInterfaceType)), "the document is valid"
        field = parent.fields[node.name.value]
        inner = get_named_type(field.type)
        assert is_composite_type(inner), "only those have a selection"
        first = self._first(field, node)
        if not is_list_type(get_nullable_type(field.type)):
            return 1 + self.selection(inner, node.selection_set, first)
        if first is None:
            first = LIST if page is None else page
        return first * (1 + self.selection(inner, node.selection_set, None))

    def _first(self, field: GraphQLField, node: FieldNode) -> int | None:
        """How many are asked for; None for a field that cannot be asked so."""
        if "first" not in field.args:
            return None
        value: object = field.args["first"].default_value
        for argument in node.arguments or ():
            if argument.name.value == "first":
                match argument.value:
                    case IntValueNode(value=text):
                        value = int(text)
                    case VariableNode(name=name):
                        value = self._variables.get(name.value, value)
        # What is no whole number is refused when the variables are read; what is below 1, by the field.
        if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
            return max(1, int(value))
        return LIST
