"""One stage of a Dockerfile, read as a process in the source tree, instruction by instruction."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from deployd.drivers.process.command import Command, from_argv, from_line
from deployd.drivers.process.packages import Install, commands, is_install, read_install
from deployd.drivers.process.placement import Misplaced, Names, Placement, image_path
from deployd.drivers.process.recipe import Recipe
from deployd.drivers.process.words import BadWord, expand
from deployd.model.reason import Reason

__all__ = ["Broken", "Instruction", "Stage", "not_faithful"]

SILENT = frozenset({"LABEL", "MAINTAINER", "USER", "HEALTHCHECK", "ONBUILD"})
COPY_FLAGS = ("--chown=", "--chmod=", "--link")
NEEDLESS = re.compile(r"useradd|adduser|groupadd|addgroup|usermod|mkdir|chown|chmod|chgrp|true|:|echo|set")
"""Commands of a RUN on which no program in the tree depends: users, folders, rights."""
Broken = Literal["DOCKERFILE_NOT_FAITHFUL", "DOCKERFILE_BROKEN", "DOCKERFILE_MISSING", "CONTEXT_MISSING"]
"""The codes of what can be wrong with a Dockerfile here."""
ARCHIVE = re.compile(r"\.(tar|tgz|tbz2?|txz|tar\.\w+)$")


class Instruction(Protocol):
    """What the official parser answers for each instruction."""

    cmd: str
    json: bool
    original: str
    start_line: int
    flags: tuple[str, ...]
    value: tuple[str, ...]
    heredocs: tuple[object, ...]


def not_faithful(code: Broken, summary: str, line: str, where: str | None = None) -> Reason:
    """Why it cannot be a process, seen at `where`; `line` is what may be written as `run:` instead."""
    instead = f"`run: {line}`" if line else "`run: <the command that starts the service>`"
    return Reason(
        code=code,
        summary=summary,
        remedy=f"Name the command in deployd.yaml, for worlds of processes: {instead}.",
        key="build",
        where=where,
    )


@dataclass(slots=True)
class Stage:
    """The final stage while it is read, instruction by instruction."""

    shown: str
    """How the file is named to people."""
    placement: Placement
    escape: str
    host: dict[str, str]
    """What variables mean that the image inherits: only PATH is known."""
    target: str | None = None
    given: dict[str, str] = field(default_factory=dict)
    """What `build.args` says."""
    asked: set[str] = field(default_factory=set)
    """Names of all ARG instructions that were read."""
    env: dict[str, str] = field(default_factory=dict)
    args: dict[str, str] = field(default_factory=dict)
    workdir: Names = ()
    entrypoint: Instruction | None = None
    cmd: Instruction | None = None
    shell: bool = True
    ports: dict[str, int] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    installs: list[Install] = field(default_factory=list)
    last: int = 1
    problems: list[tuple[Broken, int, str]] = field(default_factory=list)

    def read(self, instructions: tuple[Instruction, ...]) -> Recipe | tuple[Reason, ...]:
        """All of the file: the globals, then the final stage alone."""
        starts = [index for index, one in enumerate(instructions) if one.cmd.upper() == "FROM"]
        defaults: dict[str, str] = {}
        for one in instructions[: starts[0] if starts else None]:
            if one.cmd.upper() != "ARG":
                self.refuse(one, f"`{one.original}` comes before any FROM", "DOCKERFILE_BROKEN")
                break
            defaults.update(self.assigned(one, defaults))
        if not starts and not self.problems:
            self.refuse(instructions[-1], "there is no FROM", "DOCKERFILE_BROKEN")
        if starts:
            chosen = self.choose(instructions, starts)
            if chosen is None:
                return self.refused("")
            self.begin(instructions, starts[: chosen + 1], defaults)
            end = starts[chosen + 1] if chosen + 1 < len(starts) else None
            for one in instructions[starts[chosen] + 1 : end]:
                self.take(one, defaults)
        for name in sorted(self.given.keys() - self.asked):
            self.refuse(None, f"`build.args.{name}` is given, and no ARG of this stage takes it")
        command = self.command()
        if not self.problems and command is not None:
            return self.recipe(command)
        return self.refused(command.text if command else "")

    def refused(self, line: str) -> tuple[Reason, ...]:
        """All problems; `line` is what may be written as `run:` instead."""
        return tuple(
            not_faithful(code, f"{self.shown}:{at}: {what}", line, f"{self.shown}:{at}")
            for code, at, what in self.problems
        )

    def refuse(self, one: Instruction | None, what: str, code: Broken = "DOCKERFILE_NOT_FAITHFUL") -> None:
        """Note what cannot be done, at its line (the last one, when it is about none)."""
        self.problems.append((code, one.start_line if one else self.last, what))

    def choose(self, instructions: tuple[Instruction, ...], starts: list[int]) -> int | None:
        """Which of the stages is meant: by name, by number, or the last."""
        if self.target is None:
            return len(starts) - 1
        named = [instructions[start].value[2:3] for start in starts]
        names = [one[0].lower() if one else str(index) for index, one in enumerate(named)]
        for index, name in enumerate(names):
            if self.target.lower() in {name, str(index)}:
                return index
        there = ", ".join(f"`{one}`" for one in names)
        self.refuse(None, f"there is no stage `{self.target}`, which `build.target` names; there are {there}")
        return None

    def begin(
        self, instructions: tuple[Instruction, ...], starts: list[int], defaults: dict[str, str]
    ) -> None:
        """The FROM of the final stage, which has to be an image and no other stage."""
        names = set()
        for start in starts:
            one = instructions[start]
            if len(one.value) not in {1, 3}:
                self.refuse(one, f"`{one.original}` is no FROM", "DOCKERFILE_BROKEN")
                return
            names.add(one.value[2].lower() if len(one.value) == 3 else "")
        final = instructions[starts[-1]]
        self.last = final.start_line
        image = self.word(final, final.value[0], defaults)
        if image and image.lower() in names:
            self.refuse(final, f"the final stage continues the stage `{image}`, which is not built here")

    def take(self, one: Instruction, defaults: dict[str, str]) -> None:
        """One instruction of the final stage."""
        self.last = one.start_line
        kind = one.cmd.upper()
        if one.heredocs:
            self.refuse(one, f"a {kind} with a heredoc makes something that the source tree does not have")
        elif kind not in SILENT:
            known: dict[str, Callable[[Instruction], None]] = {
                "COPY": self.copy,
                "ADD": self.copy,
                "RUN": self.run,
                "WORKDIR": self.enter,
                "EXPOSE": self.expose,
                "ENV": lambda one: self.env.update(self.assigned(one, self.known())),
                "ARG": lambda one: self.args.update(self.assigned(one, self.known(), defaults)),
                "ENTRYPOINT": self.start,
                "CMD": self.start,
                "SHELL": self.choose_shell,
                "STOPSIGNAL": self.choose_signal,
                "VOLUME": lambda one: self.refuse(
                    one, f"`{one.original}`: this machine has no such folder for the service's data"
                ),
            }
            if kind not in known:
                self.refuse(one, f"`{one.cmd}` is no instruction of a Dockerfile", "DOCKERFILE_BROKEN")
            elif not one.value and kind not in {"CMD", "ENTRYPOINT"}:
                self.refuse(one, f"{kind} says nothing", "DOCKERFILE_BROKEN")
            else:
                known[kind](one)

    def known(self) -> dict[str, str]:
        """What variables mean at this point: an ENV hides an ARG of its name."""
        return {**self.host, **self.args, **self.env}

    def word(self, one: Instruction, text: str, values: dict[str, str] | None = None) -> str:
        """A word with its variables replaced; what cannot be is refused and left as it is."""
        try:
            return expand(text, self.known() if values is None else values, self.escape)
        except BadWord as error:
            self.refuse(one, f"`{one.original}`: {error}")
            return text

    def assigned(
        self, one: Instruction, values: dict[str, str], defaults: dict[str, str] | None = None
    ) -> dict[str, str]:
        """What an ENV or an ARG sets. A bare ARG takes the default from before the first FROM."""
        out: dict[str, str] = {}
        if one.cmd.upper() == "ENV":
            if len(one.value) % 2:
                self.refuse(one, f"`{one.original}` is no ENV", "DOCKERFILE_BROKEN")
                return out
            pairs = list(zip(one.value[::2], one.value[1::2], strict=True))
            return {name: self.word(one, text, values) for name, text in pairs}
        for item in one.value:
            name, equals, text = item.partition("=")
            self.asked.add(name)
            if name in self.given:
                out[name] = self.given[name]
            elif equals:
                out[name] = self.word(one, text, values)
            elif defaults and name in defaults:
                out[name] = defaults[name]
        return out

    def enter(self, one: Instruction) -> None:
        """WORKDIR, relative to the one before."""
        self.workdir = image_path(self.workdir, self.word(one, " ".join(one.value)))

    def expose(self, one: Instruction) -> None:
        """EXPOSE: TCP ports become ports of the service."""
        for item in one.value:
            number, _, protocol = self.word(one, item).partition("/")
            if not number.isdigit() or protocol.lower() not in {"", "tcp"}:
                self.refuse(one, f"`{one.original}`: only single TCP ports can be had here")
            else:
                self.ports[f"tcp{int(number)}" if self.ports else "http"] = int(number)

    def choose_shell(self, one: Instruction) -> None:
        """SHELL: only the usual one is what a `run:` line gets."""
        self.shell = one.value == ("/bin/sh", "-c")

    def choose_signal(self, one: Instruction) -> None:
        """STOPSIGNAL, by name."""
        name = self.word(one, one.value[0]).upper()
        name = name if name.startswith("SIG") else f"SIG{name}"
        if name not in {"SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"}:
            self.refuse(
                one, f"`{one.original}`: a service is stopped by SIGTERM, SIGINT, SIGQUIT or SIGHUP here"
            )
        else:
            self.stop_signal = name

    def copy(self, one: Instruction) -> None:
        """COPY and ADD from the context."""
        flags = [flag for flag in one.flags if not flag.startswith(COPY_FLAGS)]
        if flags:
            stage = flags[0].removeprefix("--from=")
            other = f"copies from `{stage}`" if stage != flags[0] else f"needs {flags[0]}"
            self.refuse(one, f"`{one.original}` {other}, which the source tree does not have")
            return
        if len(one.value) < 2:
            self.refuse(one, f"`{one.original}` names no target", "DOCKERFILE_BROKEN")
            return
        *patterns, target = (self.word(one, text) for text in one.value)
        for pattern in patterns if one.cmd.upper() == "ADD" else ():
            if "://" in pattern or pattern.startswith("git@") or ARCHIVE.search(pattern):
                self.refuse(one, f"`{one.original}` fetches or unpacks {pattern}")
                return
        try:
            self.placement.copy(self.workdir, tuple(patterns), target)
        except Misplaced as error:
            self.refuse(one, f"`{one.original}`: {error}")

    def run(self, one: Instruction) -> None:
        """RUN: what makes users, folders and rights is no loss; packages can be had here too."""
        if one.json:
            harmless = NEEDLESS.fullmatch(one.value[0]) is not None
        else:
            line = one.value[0]
            parts = [part.split() for part in re.split(r"&&|\|\||;|\n", line)]
            harmless = not re.search(r"[|<>`]|\$\(|&", re.sub(r"&&|\|\|", "", line)) and all(
                NEEDLESS.fullmatch(part[0]) for part in parts if part
            )
        if not harmless and not self.install(one):
            short = re.sub(r"\s+", " ", one.original)
            self.refuse(one, f"`{short}` makes something in the image that the source tree does not have")

    def install(self, one: Instruction) -> bool:
        """Take in the packages of a RUN; False where it does something else as well."""
        if one.json or not self.shell or any(not flag.startswith("--mount=type=cache") for flag in one.flags):
            return False
        parts = commands(one.value[0])
        if parts is None or not all(is_install(part) or NEEDLESS.fullmatch(part[0]) for part in parts):
            return False
        try:
            found = [
                read_install(part, self.find, self.placement.context) for part in parts if is_install(part)
            ]
        except Misplaced as error:
            self.refuse(one, f"`{re.sub(r'[ ]+', ' ', one.original)}`: {error}")
        else:
            self.installs += found
        return True

    def find(self, path: str) -> Path:
        """Where a path of the image lies in the tree at this point. Raises Misplaced."""
        found = self.placement.locate(image_path(self.workdir, path))
        if found is None:
            raise Misplaced(f"{path} is not in the image at this point: no COPY puts it there")
        return found

    def start(self, one: Instruction) -> None:
        """CMD and ENTRYPOINT: the last of each holds."""
        if not one.json and " ".join(one.value).lstrip().startswith("["):
            self.refuse(
                one, f"`{one.original}` is meant as JSON but is none (double quotes?)", "DOCKERFILE_BROKEN"
            )
        if one.cmd.upper() == "CMD":
            self.cmd = one
        else:
            self.entrypoint = one

    def command(self) -> Command | None:
        """ENTRYPOINT and CMD as one command; in the tree's paths where these are known."""
        first, then = self.entrypoint, self.cmd
        if first is not None and first.value and not first.json:
            return self.line(first)
        argv = first.value if first is not None else ()
        if then is not None and then.value and not then.json:
            if not argv:
                return self.line(then)
            argv = (*argv, "/bin/sh", "-c", then.value[0])
        elif then is not None:
            argv = (*argv, *then.value)
        if not argv:
            self.refuse(
                None, "the final stage has no CMD and no ENTRYPOINT; those of its base image are not known"
            )
            return None
        try:
            return from_argv(self.placement.translate(word) for word in argv)
        except Misplaced as error:
            self.refuse(first or then, str(error))
            return from_argv(argv)

    def line(self, one: Instruction) -> Command | None:
        """A command in shell form."""
        if not self.shell:
            self.refuse(one, f"`{one.original}` is for another SHELL than /bin/sh")
        if self.placement.speaks(one.value[0]):
            self.refuse(
                one, f"`{one.original}` names a folder of the image, which is elsewhere in the source tree"
            )
        try:
            return from_line(one.value[0])
        except ValueError as error:
            self.refuse(one, f"`{one.original}`: {error}", "DOCKERFILE_BROKEN")
            return None

    def recipe(self, command: Command) -> Recipe | tuple[Reason, ...]:
        """The end: the working directory and the environment, in the tree's paths."""
        cwd = self.placement.locate(self.workdir)
        folder = "/" + "/".join(self.workdir)
        if cwd is None or not cwd.is_dir():
            copied = (
                "no COPY fills it"
                if self.placement.image is not None
                else "nothing of the source tree is copied"
            )
            self.refuse(None, f"the working directory {folder} is no folder of the source tree: {copied}")
        env: dict[str, str] = {}
        for name, value in self.env.items():
            try:
                env[name] = ":".join(self.placement.translate(part) for part in value.split(":"))
            except Misplaced as error:
                self.refuse(None, f"ENV {name}: {error}")
        if cwd is None or self.problems:
            text = shlex.join(command.argv) if command.program else command.text
            return self.refused(text)
        note = "It runs with this machine's programs and libraries, not with those of the Dockerfile's image."
        installs = tuple(self.installs)
        named = self.entrypoint or self.cmd
        where = f"{self.shown}:{named.start_line}" if named else None
        return Recipe(command, cwd, env, self.ports, self.stop_signal, (note,), installs, where)
