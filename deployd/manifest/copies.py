"""What a Dockerfile takes from its build context: the sources of the stages that its target needs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["copied"]

ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|git@")
"""The beginning of what ADD fetches."""
ESCAPE = re.compile(r"(?:#[^\n]*\n)*?#\s*escape\s*=\s*(\S)", re.IGNORECASE)
VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+])([^${}]*))?\})", re.ASCII)


class Instruction(Protocol):
    """What the official parser answers for each instruction."""

    cmd: str
    sub_cmd: str | None
    flags: tuple[str, ...]
    value: tuple[str, ...]
    heredocs: tuple[_Heredoc, ...]


class _Heredoc(Protocol):
    name: str


class _Unknown(Exception):
    """It cannot be known from the Dockerfile alone."""


def copied(text: str, target: str | None, args: Mapping[str, str]) -> frozenset[str] | None:
    """The globs that match what is taken, relative to the context; None: all of it may be.

    `target` is the stage to build (None: the last), `args` what is given to its ARG instructions.
    """
    try:
        import dockerfile  # an extra, and a large library
    except ImportError:
        return None
    try:
        instructions: tuple[Instruction, ...] = dockerfile.parse_string(text)
        escape = ESCAPE.match(text)
        reading = _Reading(dict(args), escape[1] if escape else "\\")
        return frozenset(reading.read(instructions, target))
    except (ValueError, _Unknown):
        return None


@dataclass(slots=True)
class _Stage:
    """From one FROM to the next."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)


Values = dict[str, str | None]
"""What variables mean; None: it is set, and not known to what."""


@dataclass(slots=True)
class _Reading:
    """One Dockerfile."""

    args: dict[str, str]
    escape: str
    globals: Values = field(default_factory=dict)
    stages: list[_Stage] = field(default_factory=list)
    environments: dict[int, Values] = field(default_factory=dict)
    """Of the stages that were read, at their ends."""
    taken: set[str] = field(default_factory=set)

    def read(self, instructions: Iterable[Instruction], target: str | None) -> set[str]:
        """All of it. Raises _Unknown."""
        for one in instructions:
            if one.cmd.upper() == "FROM":
                name = one.value[2] if len(one.value) == 3 else ""
                self.stages.append(_Stage(one.value[0], name.lower()))
            elif self.stages:
                self.stages[-1].instructions.append(one)
            elif one.cmd.upper() == "ARG":
                self.declare(one, self.globals, {})
        last = self.number(target, len(self.stages)) if target is not None else len(self.stages) - 1
        if last is None or last < 0:
            raise _Unknown
        self.need(last)
        return self.taken

    def number(self, name: str, before: int) -> int | None:
        """Which stage is meant, of those before; None: an image."""
        for index in reversed(range(before)):
            if self.stages[index].name == name.lower():
                return index
        return int(name) if name.isascii() and name.isdecimal() and int(name) < before else None

    def need(self, index: int) -> Values:
        """Read a stage and all that it needs; the environment that it leaves."""
        if index in self.environments:
            return self.environments[index]
        stage = self.stages[index]
        try:
            base = self.number(self.word(stage.base, self.globals), index)
        except _Unknown:  # any of those before may be meant
            self.need_all(index)
            base = None
        env = dict(self.need(base)) if base is not None else {}
        args: Values = {}
        for one in self.stages[base].instructions if base is not None else ():
            if one.cmd.upper() == "ONBUILD":
                self.take((one.sub_cmd or "").upper(), one, index, env, args)
        for one in stage.instructions:
            self.take(one.cmd.upper(), one, index, env, args)
        self.environments[index] = env
        return env

    def need_all(self, before: int) -> None:
        """Read all stages before this one."""
        for index in range(before):
            self.need(index)

    def take(self, kind: str, one: Instruction, index: int, env: Values, args: Values) -> None:
        """One instruction of a stage."""
        match kind:
            case "ARG":
                self.declare(one, args, env)
            case "ENV":
                known = {**args, **env}
                for name, text in zip(one.value[::2], one.value[1::2], strict=False):
                    try:
                        env[name] = self.word(text, known)
                    except _Unknown:
                        env[name] = None
            case "COPY" | "ADD":
                self.copy(one, index, {**args, **env})
            case "RUN":
                for flag in one.flags:
                    if flag.startswith("--mount="):
                        self.mount(flag.removeprefix("--mount="), index, {**args, **env})

    def declare(self, one: Instruction, args: Values, env: Values) -> None:
        """ARG: what the build gives, else its default, else that of the ARG before any FROM."""
        for item in one.value:
            name, equals, default = item.partition("=")
            if name in self.args:
                args[name] = self.args[name]
            elif equals:
                try:
                    args[name] = self.word(default, {**args, **env})
                except _Unknown:
                    args[name] = None
            else:
                args[name] = self.globals.get(name)

    def copy(self, one: Instruction, index: int, known: Values) -> None:
        """COPY and ADD."""
        for flag in one.flags:
            if flag.startswith("--from="):
                self.origin(flag.removeprefix("--from="), index)
                return
        inline = {
            f"<<{dash}{quote}{doc.name}{quote}"
            for doc in one.heredocs
            for dash in ("", "-")
            for quote in ("", '"', "'")
        }
        for text in one.value[:-1]:
            if text in inline:
                continue
            source = self.word(text, known)
            if not ELSEWHERE.match(source):
                self.add(source)

    def mount(self, text: str, index: int, known: Values) -> None:
        """RUN --mount: a bind of the context or of a stage, or a cache that a stage fills."""
        said = dict(_pairs(text))
        kind = said.get("type", "bind")
        if kind not in ("bind", "cache"):
            return
        if "from" in said:
            self.origin(said["from"], index)
        elif kind == "bind":
            self.add(self.word(said.get("source", said.get("src", ".")), known))

    def origin(self, name: str, index: int) -> None:
        """Another stage, or an image."""
        if "$" in name:
            self.need_all(index)
        elif (number := self.number(name, index)) is not None:
            self.need(number)

    def add(self, source: str) -> None:
        """A source in the context, which nothing leads out of."""
        path = posixpath.normpath(f"/{source}").lstrip("/")
        self.taken.add(path or "**")

    def word(self, text: str, known: Mapping[str, str | None]) -> str:
        """The word without its quotes, its variables replaced. Raises _Unknown."""
        out: list[str] = []
        at, quote = 0, ""
        while at < len(text):
            char = text[at]
            if char == self.escape and quote != "'":
                following = text[at + 1 : at + 2]
                # What a glob's own backslash keeps, it still has to keep.
                out.append(following if following not in tuple("*?[]") else f"\\{following}")
                at += 2
                continue
            if char in "\"'" and quote in ("", char):
                quote = "" if quote else char
            elif char == "$" and quote != "'":
                found = VARIABLE.match(text, at)
                if found is None:
                    raise _Unknown
                out.append(_value(found, known))
                at = found.end()
                continue
            else:
                out.append(char)
            at += 1
        return "".join(out)


def _value(found: re.Match[str], known: Mapping[str, str | None]) -> str:
    name = found[1] or found[2]
    value = known.get(name)
    if value is None:
        raise _Unknown  # the base image may set it
    there = bool(value) or not (found[3] or ":").startswith(":")
    match (found[3] or "")[-1:]:
        case "-":
            return value if there else found[4]
        case "+":
            return found[4] if there else ""
        case _:
            return value


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        yield name.lower(), value.strip("\"'")
