"""What a service is made of, and its fingerprint: two that are the same need no second deployment."""

from __future__ import annotations

import hashlib
import json
import posixpath
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from itertools import chain

from deployd.errors import InputError
from deployd.manifest.copies import copied
from deployd.manifest.discovery import NAMES
from deployd.manifest.ignoring import Ignoring, glob
from deployd.model.entry import LINK, Entry
from deployd.model.spec import BuildSpec, ServiceSpec

__all__ = ["Read", "fingerprint", "inputs"]

VERSION = "1"
"""Of what a fingerprint covers: another one, and everything is deployed once more."""
HOPS_MAXIMUM = 40
"""As many links as Linux follows on one path."""

Read = Callable[[str], bytes]
"""The content of a file of the tree; of a link its target."""


def fingerprint(spec: ServiceSpec, entries: Iterable[Entry], read: Read, extra: Iterable[str] = ()) -> str:
    """sha256, hexadecimal, of the specification, of the files that it depends on, and of what is `extra`.

    Raises InputError for `watch:` patterns that are none.
    """
    whole = hashlib.sha256()
    said = [VERSION, json.dumps(_plain(spec), sort_keys=True), *sorted(extra)]
    files = (f"{one.mode} {one.oid} {one.path}" for one in inputs(spec, entries, read))
    for part in chain(said, ("",), files):
        content = part.encode(errors="surrogateescape")
        whole.update(b"%d:" % len(content))
        whole.update(content)
    return whole.hexdigest()


def inputs(spec: ServiceSpec, entries: Iterable[Entry], read: Read) -> list[Entry]:
    """The files and links of the tree that the service depends on, by path. Raises InputError."""
    tree = _Tree(entries, read)
    chosen: set[str] = set()
    if spec.build is not None:
        chosen = tree.built(spec.build, whole=spec.run is not None)
    elif spec.run is not None:
        chosen = {path for path in tree.paths if not _is_manifest(path)}
    return [tree.entries[path] for path in sorted(chosen | tree.watched(spec.watch))]


def _plain(value: object) -> object:
    """For JSON, without what is as it is by default: a key that is new in deployd changes no fingerprint."""
    if is_dataclass(value) and not isinstance(value, type):
        out = {}
        for one in fields(value):
            default = one.default if one.default_factory is MISSING else one.default_factory()
            if (said := getattr(value, one.name)) != default:
                out[one.name] = _plain(said)
        return out
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _is_manifest(path: str) -> bool:
    """What it says of a service is in the specification; what it says of others is not this one's."""
    return path.rpartition("/")[2] in NAMES


class _Tree:
    """All files of a source, looked at for one service."""

    def __init__(self, entries: Iterable[Entry], read: Read) -> None:
        self.entries = {one.path: one for one in entries}
        self.paths = sorted(self.entries)
        self._read = read
        self._links = {path for path, one in self.entries.items() if one.mode == LINK}

    def built(self, build: BuildSpec, *, whole: bool) -> set[str]:
        """What is built: what the Dockerfile takes from its context, or (where that is not known) all of it.

        `whole`: a process runs in the context, and may look at anything there.
        """
        chosen: set[str] = set()
        context = self._real(_clean(build.context), chosen)
        file = self._real(_clean(posixpath.join(build.context, build.dockerfile)), chosen)
        ignore = next(
            (one for one in (f"{file}.dockerignore", _join(context, ".dockerignore")) if one in self.entries),
            "",
        )
        chosen |= {one for one in (file, ignore) if one in self.entries}
        ignoring = Ignoring(self._text(ignore))
        globs = (
            None if whole or file not in self.entries else copied(self._text(file), build.target, build.args)
        )
        start = len(context) + 1 if context else 0
        within = list(self._below(context))
        if globs is None:
            taken = {path for path in within if not _is_manifest(path)}
        else:
            taken = set(self._taken(globs, within, start))
        left = {path for path in taken if not ignoring.excludes(path[start:])}
        return chosen | self._followed(left)

    def watched(self, patterns: tuple[str, ...]) -> set[str]:
        """What patterns of .gitignore's kind name, from the root of the tree."""
        if not patterns:
            return set()
        from pathspec import GitIgnoreSpec

        try:
            spec = GitIgnoreSpec.from_lines(patterns)
        except ValueError as error:
            raise InputError(
                f"{', '.join(patterns)}: `watch:` is no list of patterns",
                remedy="Write patterns as .gitignore has them.",
                evidence=str(error),
            ) from error
        return self._followed(set(spec.match_files(self.paths)))

    def _taken(self, globs: Iterable[str], within: list[str], start: int) -> Iterator[str]:
        """What the globs match, and the links that they may lead through."""
        links = [path for path in within if path in self._links]
        for one in globs:
            pattern, named = glob(one), one.rpartition("/")[2] in NAMES
            for path in within:
                if pattern.match(path, start) and (named or not _is_manifest(path)):
                    yield path
            names = one.split("/")
            above = [glob("/".join(names[:depth])) for depth in range(1, len(names))]
            yield from (path for path in links if any(each.match(path, start) for each in above))

    def _followed(self, paths: set[str]) -> set[str]:
        """These, and what links among them lead to."""
        found: set[str] = set()
        ahead = list(paths)
        while ahead:
            path = ahead.pop()
            if path in found:
                continue
            found.add(path)
            if path in self._links:
                ahead += self._below(self._real(path, found))
        return found

    def _real(self, path: str, passed: set[str]) -> str:
        """Where the path leads, link by link; those are added to `passed`."""
        here: list[str] = []
        ahead = path.split("/")[::-1] if path else []
        hops = 0
        while ahead:
            name = ahead.pop()
            if name in ("", "."):
                continue
            if name == "..":
                del here[-1:]
                continue
            step = "/".join((*here, name))
            if step in self._links and hops < HOPS_MAXIMUM:
                hops += 1
                passed.add(step)
                ahead += self._text(step).split("/")[::-1]
            else:
                here.append(name)
        return "/".join(here)

    def _below(self, folder: str) -> Iterator[str]:
        """The file of this path, or all files of the folder."""
        if not folder:
            yield from self.paths
            return
        if folder in self.entries:
            yield folder
        for index in range(bisect_left(self.paths, f"{folder}/"), len(self.paths)):
            if not self.paths[index].startswith(f"{folder}/"):
                return
            yield self.paths[index]

    def _text(self, path: str) -> str:
        """Of a file that is there; empty for the path that is empty."""
        return self._read(path).decode(errors="surrogateescape") if path else ""


def _clean(path: str) -> str:
    return "" if (clean := posixpath.normpath(path)) == "." else clean


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
