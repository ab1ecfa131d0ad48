"""The file's text to the model's specifications."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployd.errors import ManifestError
from deployd.manifest.check import check
from deployd.manifest.document import compose
from deployd.manifest.entry import Entry
from deployd.manifest.layering import layered
from deployd.manifest.offer import Offer, check_offer
from deployd.manifest.problem import Problems, meant, step
from deployd.manifest.reader import Reader
from deployd.manifest.schema import DOCUMENT, NAMED_SERVICE, ONE_SERVICE
from deployd.manifest.specs import SOLE_PORT, specified
from deployd.model.spec import ServiceSpec

__all__ = ["SOLE_PORT", "Draft", "Manifest", "finish", "parse"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a source tree says: at least one service, by name, in the order of its files."""

    services: Mapping[str, ServiceSpec]
    files: Mapping[str, str] = field(default_factory=dict, compare=False)
    """By service: the file that describes it, from the root of the tree."""
    entries: Mapping[str, Entry] = field(default_factory=dict, compare=False, repr=False)
    """By service: where it is read from; its specification has no places."""

    def place(self, service: str, key: str) -> str | None:
        """Where a key of a service is said, as `deployd.yaml:7:5`; None where it is not."""
        return self.entries[service].place(key) if service in self.entries else None


def parse(
    text: str,
    file: str = "deployd.yaml",
    folder: str = ".",
    *,
    world: str | None = None,
    offer: Offer | None = None,
) -> Manifest:
    """Read a manifest as it is in a world (None: that of the offer, else as it is where nothing differs).

    `file` is named in problems; `folder` is where it lies, relative to the tree's root. With an offer, what
    the world has not is a problem too. Raises ManifestError with all problems.
    """
    return finish([Draft(text, file, folder)], world=world, offer=offer)


class Draft:
    """One file, read; its problems are noted, and services that have some are left out of `entries`."""

    def __init__(self, text: str, file: str, folder: str) -> None:
        """Raises ManifestError where nothing of it can be read on."""
        self.file = file
        self.folder = folder
        self.problems = Problems(file)
        self.reader = Reader(self.problems, folder, text)
        self.entries: dict[str, Entry] = {}
        self.worlds: dict[str, dict[str, Entry]] = {}
        """By world, what differs in it."""
        self.paths: dict[str, str] = {}
        """By name, where each service is: the wrong ones too."""
        root = compose(text, file)
        value: Any = self.reader.read(root, DOCUMENT, "")
        if not isinstance(value, dict):
            return
        for name, path in self._services(value):
            self.paths[name] = path
            if self.reader.right(path):
                said = value["service"] if path == "service" else value["services"][name]
                self.entries[name] = Entry(specified(name, said, folder), self.reader, path, path)
        for world, said in self._below(value, "worlds"):
            here = step("worlds", world)
            if isinstance(said, dict):
                self.worlds[world] = dict(self._overrides(here, said, sole="service" in value))

    def _services(self, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        one = value.get("service")
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            yield one["name"], "service"
        for name, _ in self._below(value, "services"):
            yield name, step("services", name)

    @staticmethod
    def _below(value: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
        """What there is below a key whose value may have been refused."""
        inner = value.get(key)
        return list(inner.items()) if isinstance(inner, dict) else []

    def _overrides(self, world: str, said: Mapping[str, Any], *, sole: bool) -> Iterator[tuple[str, Entry]]:
        """The services of which a world says something, as they are there."""
        if "service" in said:
            path = step(world, "service")
            if not sole:
                self.reader.refuse(
                    self.reader.names[path],
                    path,
                    "is not how this file names its services, would be `services`",
                )
            else:
                for name in self.paths:
                    yield from self._override(name, path)
        for name, _ in self._below(said, "services"):
            path = step(step(world, "services"), name)
            if name in self.paths:
                yield from self._override(name, path)
            elif self.reader.right(path):
                right = meant(name, self.paths, "would be one of this file's")
                self.reader.refuse(self.reader.names[path], path, f"is no service of this file, {right}")

    def _override(self, name: str, path: str) -> Iterator[tuple[str, Entry]]:
        if name not in self.entries or not self.reader.right(path):
            return
        written = self.entries[name].path
        shape = ONE_SERVICE if written == "service" else NAMED_SERVICE
        values = self.reader.values
        node = layered(self.reader, values[written], values[path], shape)
        value: Any = self.reader.read(node, shape, path)
        if self.reader.right(path):
            yield name, Entry(specified(name, value, self.folder), self.reader, path, written)


def finish(
    drafts: Sequence[Draft],
    failed: Mapping[str, tuple[str, ...]] | None = None,
    *,
    world: str | None = None,
    offer: Offer | None = None,
) -> Manifest:
    """One manifest of several files. `failed`: of those of which no draft could be made, their problems.

    Raises ManifestError with all problems of all of them.
    """
    try:
        entries = [entry for draft in drafts for entry in draft.entries.values()]
        unique(drafts)
        check(entries)
        for name in sorted({name for draft in drafts for name in draft.worlds}):
            check(within(drafts, name))
        entries = within(drafts, world if world is not None or offer is None else offer.world)
        if offer is not None and not failed:  # else services would be missed that are in those files
            check_offer(entries, frozenset(name for draft in drafts for name in draft.paths), offer)
    except ManifestError:
        pass  # it has too many: they are noted, and said below
    problems = {draft.file: draft.problems.lines() for draft in drafts} | dict(failed or {})
    if any(problems.values()):
        raise ManifestError(tuple(line for file in sorted(problems) for line in problems[file]))
    files = {name: draft.file for draft in drafts for name in draft.entries}
    return Manifest(
        {entry.name: entry.spec for entry in entries}, files, {entry.name: entry for entry in entries}
    )


def within(drafts: Sequence[Draft], world: str | None) -> list[Entry]:
    """The services as they are in a world."""
    return [
        draft.worlds.get(world or "", {}).get(name, entry)
        for draft in drafts
        for name, entry in draft.entries.items()
    ]


def unique(drafts: Sequence[Draft]) -> None:
    """A service has one file."""
    first: dict[str, str] = {}
    for draft in drafts:
        for name, path in draft.paths.items():
            written = "service.name" if path == "service" else path
            node = draft.reader.values["service.name"] if path == "service" else draft.reader.names[path]
            place = draft.problems.place(node.start_mark.line, node.start_mark.column)
            if first.setdefault(name, place) != place:
                draft.reader.refuse(
                    node, written, f"is a service of {first[name]} too, would have a name of its own"
                )
