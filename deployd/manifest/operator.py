"""The operator's files: worlds, several in a file by `---`, read with their lines; and written again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from deployd.errors import ManifestError
from deployd.manifest.document import compose_all
from deployd.manifest.node import SCALARS, children, kind, said
from deployd.manifest.problem import Problems, item, step
from deployd.manifest.reader import REFUSED, Reader, nearest, number
from deployd.manifest.shape import Items, Key, Plain, Record, Table, Text, Whole
from deployd.manifest.term import GATE
from deployd.model.world import Capability, Gate

__all__ = ["Draft", "read_worlds", "written_world"]

NAME = Text(
    "a name of at most 63 lower-case letters, digits and inner hyphens that begins with a letter",
    r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
)
DRIVER = Text("the name of a driver such as deploy:process", r"[a-z0-9]+([:/-][a-z0-9-]+)*")
NETWORK = Text("a network such as 203.0.113.0/24", r"[0-9A-Fa-f:./]{1,64}")
GATE_RULES = Record(
    "a mapping with `allow` and `ports`",
    {
        "allow": Key(Items("a list of networks", NETWORK), "Networks that may come in."),
        "ports": Key(
            Items("a list of port numbers", Whole("a port number from 1 to 65535", 1, 65535)),
            "Ports of the entrypoint; none: all that it has.",
        ),
    },
)
GATES = Table("a mapping of names to {allow, ports}", GATE, GATE_RULES)
TRUTH = Plain("true or false")
LIMIT = Whole("a whole number from 1 to 10000", 1, 10_000)
WORLD = Record(
    "a mapping with `world:`",
    {
        "world": Key(NAME, "The world's name."),
        "ephemeral": Key(TRUTH, "Whether its data may go with it: said when it is made."),
        "capabilities": Key(Table("a mapping of names to {driver, …}", NAME, TRUTH), "What it can do."),
        "gates": Key(GATES, "Who may come in."),
    },
)
CAPABILITY = Record(
    "a mapping with `driver:`",
    {
        "driver": Key(DRIVER, "The driver."),
        "approval": Key(TRUTH, "Whether deployments wait."),
        "limit": Key(LIMIT, "How many deployments, resources and stops it works at, at once."),
    },
)
NOT_YET = "resource repositories cannot be published yet"


@dataclass(frozen=True)
class Draft:
    """What a document says of one world. What it does not say is None, and stays as it is."""

    name: str
    ephemeral: bool | None
    capabilities: Mapping[str, Capability] | None
    gates: Mapping[str, Gate] | None
    places: Mapping[tuple[str, ...], str]
    """`file:line:column` of `world`, and of each capability and gate and its keys."""

    def place(self, *path: str) -> str:
        """Where the nearest thing on this path is in the file."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]


def read_worlds(texts: Iterable[tuple[str, str]]) -> list[Draft]:
    """The worlds of files, each its name and its text, in their order.

    Raises ManifestError with all problems of all of them, each with its place.
    """
    drafts: list[Draft] = []
    wrong: list[str] = []
    for file, text in texts:
        problems = Problems(file)
        try:
            found = [_Document(problems, text, root).read() for root in compose_all(text, file)]
        except ManifestError as error:
            wrong += error.problems
            continue
        wrong += problems.lines()
        drafts += [one for one in found if one is not None]
    first: dict[str, str] = {}
    for one in drafts:
        here = one.place("world")
        if first.setdefault(one.name, here) != here:
            wrong.append(f"{here}: world: is described at {first[one.name]} already; keep one of them")
    if wrong:
        raise ManifestError(tuple(wrong))
    return drafts


class _Document:
    """One document of a file."""

    def __init__(self, problems: Problems, text: str, root: yaml.Node) -> None:
        self._problems, self._root = problems, root
        self._reader = Reader(problems, ".", text)
        self._places: dict[tuple[str, ...], str] = {}

    def read(self) -> Draft | None:
        """None where something is wrong; that is noted."""
        reader, root, before = self._reader, self._root, len(self._problems)
        if kind(root) != "map":
            reader.refuse(root, "", f"{said(root)}, would be {WORLD.what}")
            return None
        self._note((), root)
        pairs = reader.pairs(root, "")
        if "repository" in pairs:
            reader.refuse(pairs["repository"][0], "repository", NOT_YET)
            return None
        values: dict[str, object] = {}
        for key, (name, node) in pairs.items():
            self._note((key,), name)
            if key == "repositories":
                reader.refuse(name, key, NOT_YET)
            elif key not in WORLD.keys:
                reader.refuse(name, key, f"is an unknown key, would be {nearest(key, WORLD)}")
            elif key == "capabilities":
                values[key] = self._capabilities(node)
            elif key == "ephemeral":
                values[key] = self._truth(node, key)
            else:
                values[key] = reader.read(node, WORLD.keys[key].shape, key)
        if "world" not in pairs:
            reader.refuse(
                root, "world", "is missing, would be the name of a world, such as `world: production`"
            )
        if len(self._problems) > before:
            return None
        for key, node in reader.names.items():
            self._note(tuple(key.split(".")), node)
        ephemeral, capabilities = values.get("ephemeral"), values.get("capabilities")
        assert ephemeral is None or isinstance(ephemeral, bool)
        assert capabilities is None or isinstance(capabilities, dict)
        gates = values.get("gates")
        return Draft(str(values["world"]), ephemeral, capabilities, _gates(gates), self._places)

    def _note(self, path: tuple[str, ...], node: yaml.Node) -> None:
        self._places[path] = self._problems.place(node.start_mark.line, node.start_mark.column)

    def _capabilities(self, node: yaml.Node) -> dict[str, Capability]:
        reader, made = self._reader, {}
        if kind(node) != "map":
            reader.refuse(node, "capabilities", f"{said(node)}, would be a mapping of names to {{driver, …}}")
            return {}
        for name, (key, value) in reader.pairs(node, "capabilities").items():
            here = step("capabilities", name)
            self._note(("capabilities", name), key)
            if not re.fullmatch(NAME.pattern, name):
                reader.refuse(key, here, f"is no name for this, would be {NAME.what}")
            if (one := self._capability(name, value, here)) is not None:
                made[name] = one
        return made

    def _capability(self, name: str, node: yaml.Node, here: str) -> Capability | None:
        reader = self._reader
        if kind(node) != "map":
            reader.refuse(node, here, f"{said(node)}, would be {CAPABILITY.what}")
            return None
        driver: object = None
        approval: object = False
        limit: object = None
        config: dict[str, object] = {}
        for key, (word, value) in reader.pairs(node, here).items():
            below = step(here, key)
            self._note(("capabilities", name, key), word)
            if key == "driver":
                driver = reader.read(value, DRIVER, below)
            elif key == "approval":
                approval = self._truth(value, below)
            elif key == "limit":
                limit = reader.read(value, LIMIT, below)
            else:
                config[key] = self._free(value, below)
        if driver is None:
            reader.refuse(node, step(here, "driver"), "is missing, would be the name of a driver")
        return Capability(str(driver), config, approval is True, limit if isinstance(limit, int) else None)

    def _truth(self, node: yaml.Node, path: str) -> object:
        value = self._reader.read(node, TRUTH, path)
        if value is REFUSED or isinstance(value, bool):
            return value
        return self._reader.refuse(node, path, f"{said(node)}, would be {TRUTH.what}")

    def _free(self, node: yaml.Node, path: str, above: tuple[int, ...] = ()) -> object:
        """What only the driver understands: any JSON."""
        reader = self._reader
        reader.count(node)
        if id(node) in above:
            return reader.refuse(node, path, "contains itself, would end somewhere")
        inner = (*above, id(node))
        match kind(node):
            case "null":
                return None
            case "map":
                return {
                    key: self._free(value, step(path, key), inner)
                    for key, (_, value) in reader.pairs(node, path).items()
                }
            case "seq":
                return [self._free(one, item(path, at), inner) for at, one in enumerate(children(node))]
            case of if of in SCALARS:
                value = number(node, Plain(""))
                if value is not REFUSED:
                    return value
                return reader.refuse(
                    node, path, f"{said(node)}, would be plain: a decimal number, or in quotes"
                )
            case _:
                return reader.refuse(node, path, f"{said(node)}, would be a plain value")


def _gates(value: object) -> dict[str, Gate] | None:
    if value is None:
        return None
    assert isinstance(value, dict)
    return {
        name: Gate(tuple(rules.get("allow", ())), tuple(rules.get("ports", ())))
        for name, rules in value.items()
    }


def written_world(
    name: str, capabilities: Mapping[str, Capability], gates: Mapping[str, Gate], *, ephemeral: bool
) -> str:
    """The document that describes a world: applied, it changes nothing."""
    document: dict[str, object] = {"world": name}
    if ephemeral:
        document["ephemeral"] = True
    document["capabilities"] = {
        key: {"driver": one.driver}
        | ({"approval": True} if one.approval else {})
        | ({} if one.limit is None else {"limit": one.limit})
        | {word: value for word, value in one.config.items() if word not in CAPABILITY.keys}
        for key, one in sorted(capabilities.items())
    }
    document["gates"] = {
        key: {"allow": list(one.allow)} | ({"ports": list(one.ports)} if one.ports else {})
        for key, one in sorted(gates.items())
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
