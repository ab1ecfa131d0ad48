"""One service of a file, as it is in one world, with the places of what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from deployd.manifest.node import place
from deployd.manifest.problem import item, step
from deployd.manifest.reader import Reader
from deployd.model.spec import ServiceSpec

__all__ = ["Entry", "Where"]

Where = tuple[str | int, ...]
"""Keys and indexes that lead from a service to what it says."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`path` is where it was read, `written` where what is not overridden was written: usually the same."""

    spec: ServiceSpec
    reader: Reader
    path: str
    written: str

    @property
    def name(self) -> str:
        """The service's."""
        return self.spec.name

    def note(self, where: Where, text: str, at: int | None = None, *, key: bool = False) -> None:
        """A problem with what is said there (its key; a character of it), or with what is around it."""
        node, path = self._find(where, key=key)
        self.reader.refuse(node, path, text, at)

    def shown(self, where: Where) -> str:
        """Where it is written, for people: `deployd.yaml:7:5`."""
        node, _ = self._find(where)
        return self.reader.problems.place(*place(node))

    def place(self, key: str) -> str | None:
        """The same of a path below the service (`env.KEY`, `routes[0].host`; empty: all of it).

        Where it is not there, of what is said around it; None where nothing but the service is.
        """
        parts = re.findall(r"\[[0-9]+\]|[^.\[]+", key)
        for depth in range(len(parts), 0 if parts else -1, -1):
            path = self.path + "".join(one if one.startswith("[") else f".{one}" for one in parts[:depth])
            node = self.reader.names.get(path) or self.reader.values.get(path)
            if node is not None:
                return self.reader.problems.place(*place(node))
        return None

    def overrides(self, where: Where) -> bool:
        """Whether the world says it rather than the service."""
        return self.path != self.written and id(self._find(where)[0]) in self.reader.overriding

    def _find(self, where: Where, *, key: bool = False) -> tuple[yaml.Node, str]:
        for depth in range(len(where), -1, -1):
            path, written = self.path, self.written
            for one in where[:depth]:
                path, written = below(path, one), below(written, one)
            value = self.reader.values.get(path)
            if value is not None:
                own = self.path == self.written or id(value) in self.reader.overriding
                node = self.reader.names.get(path, value) if key else value
                return node, path if own else written
        raise AssertionError(self.path)


def below(path: str, one: str | int) -> str:
    """The path of a key or an index below a path."""
    return item(path, one) if isinstance(one, int) else step(path, one)
