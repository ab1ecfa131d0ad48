"""What is executed, and with which environment: pure builders."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Command", "from_argv", "from_line", "port_variables", "service_environment"]

SHELL = "/bin/sh"
MEANING = re.compile(r"[$`*?\[\]~|&;<>(){}#!\\\n\r]")
"""Characters that a shell understands; a line without them is split and executed directly."""
QUOTED = re.compile(r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
OPERATOR = re.compile(r"[;|()`\n]|(?<![<>])&")
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
WITHIN_SHELL = re.compile(
    r"[!.:\[{]|alias|bg|break|case|cd|command|continue|do|done|elif|else|esac|eval|exec|exit|export|fg|fi|for|"
    r"function|getopts|hash|if|in|jobs|local|read|readonly|return|set|shift|source|test|then|time|times|trap|"
    r"type|ulimit|umask|unalias|unset|until|wait|while"
)
"""Words that only a shell can carry out, so `exec` cannot be put before them."""
INHERITED = ("TMPDIR", "LANG", "TZ")


@dataclass(frozen=True, slots=True)
class Command:
    """One command, ready to be executed."""

    argv: tuple[str, ...]
    program: str | None
    """What has to be found on the machine; None where that is up to the shell."""
    text: str
    """As a person would write it."""


def from_argv(argv: Iterable[str]) -> Command:
    """A command whose words are given."""
    words = tuple(argv)
    return Command(argv=words, program=words[0], text=shlex.join(words))


def from_line(line: str) -> Command:
    """A shell command line. The program itself gets the signals wherever it is a single command.

    Raises ValueError for a line that is empty or whose quotes are not closed.
    """
    line = line.strip()
    words = shlex.split(line)
    if not words:
        raise ValueError("the command line is empty")
    leading = 0
    while leading < len(words) and ASSIGNMENT.match(words[leading]):
        leading += 1
    if leading == len(words):
        raise ValueError("the command line has no command")
    if not leading and not MEANING.search(line) and not WITHIN_SHELL.fullmatch(words[0]):
        return Command(argv=tuple(words), program=words[0], text=line)
    program = words[leading]
    if WITHIN_SHELL.fullmatch(program) or _several(line):
        return Command(argv=(SHELL, "-c", line), program=None, text=line)
    # `A=1 exec program` is how assignments and exec go together.
    head = re.match(rf"((?:{ASSIGNMENT.pattern}\S*\s+){{{leading}}})(.*)", line, re.DOTALL)
    if head is None or re.search(r"[\"'\\]", head[1]):
        return Command(argv=(SHELL, "-c", line), program=None, text=line)
    found = None if MEANING.search(program) else program
    return Command(argv=(SHELL, "-c", f"{head[1]}exec {head[2]}"), program=found, text=line)


def _several(line: str) -> bool:
    """Whether the line is more than one simple command: operators outside of quotes, a substitution."""
    bare = QUOTED.sub("_", line)
    return OPERATOR.search(bare) is not None


def port_variables(ports: Mapping[str, int]) -> dict[str, str]:
    """`PORT` is the first one; several have `PORT_<NAME>` too."""
    variables = {f"PORT_{re.sub(r'[^A-Z0-9]', '_', name.upper())}": str(port) for name, port in ports.items()}
    if len(variables) < 2:
        variables = {}
    for port in list(ports.values())[:1]:
        variables["PORT"] = str(port)
    return variables


def service_environment(
    host: Mapping[str, str],
    path: Iterable[str],
    home: str,
    image: Mapping[str, str],
    manifest: Mapping[str, str],
) -> dict[str, str]:
    """All that a service's environment holds before its ports: nothing of deployd's own gets through."""
    environment = {"PATH": ":".join(path), "HOME": home}
    environment.update({name: host[name] for name in INHERITED if host.get(name)})
    environment.update(image)
    environment.update(manifest)
    return environment
