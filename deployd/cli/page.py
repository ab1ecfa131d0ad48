"""docs/cli.md, the reference of the command line, from the parser."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from deployd.cli.commands import Command, Option, commands
from deployd.cli.exits import EPILOG
from deployd.cli.shapes import SHAPES

__all__ = ["page"]

PREFACE = """\
# The command line

`deployd VERB` is a client of a server's GraphQL API; only `up`, `down`, `serve`, `completion` and `context`
do something on this host by themselves. Every verb has `--help`. This page is generated from the same
parser by `make docs`.

In a terminal what is live is redrawn in place, in colour: each service's machine, the states it went
through, how long the present one has lasted, and how long it is likely to (`verifying … 3.1s of ~4.6s`: the
median of the service's last ten deployments that succeeded). In a pipe the same comes as plain lines, one
for each step. With `--json` it is for programs: one document, or one object a line for what is live. What
goes wrong is said on stderr as one block: what failed, the evidence, what to do.

A server that goes away and comes back is no end: what is followed is read on from the last cursor, and what
is asked for is asked again under the same idempotency key, so that it happens once.

```console
$ deployd version
deployd …
```

## Which server, which world

Each value comes from the first of these that has it:

1. the command line: `--server`, `--world`, or the context that `--context` names,
2. the environment: `DEPLOYD_SERVER`, `DEPLOYD_WORLD`, `DEPLOYD_TOKEN`,
3. the context in use: the one that `DEPLOYD_CONTEXT` names, else the one of `deployd context use`,
4. this host: its server, the world `local`, and the token that the server left in its home.

A **token goes to its own server alone**. A context's token (and world) counts only while the context's
server is the one that is meant; `DEPLOYD_TOKEN` only for `DEPLOYD_SERVER`, where that is set. No redirect
is followed to another server. `deployd context show` says what holds, and who says so.

```console
$ printf secret | deployd context set staging --server https://deployd.test --world staging --token-stdin
context staging is set, and in use
$ deployd context show
context  staging …
server   https://deployd.test  context staging
world    staging  context staging
token    (not shown)  context staging: kept in the context
$ deployd context remove staging
context staging is forgotten
```

Contexts are kept in `deployd/config.yaml` below `XDG_CONFIG_HOME` (else `~/.config`), for their owner's
eyes only. A token is never an argument: `--token-stdin` keeps it there, `--token-file PATH` reads a file
each time, and `--token-command 'pass show deployd'` asks a program.

## Exit codes and environment

```text
{epilog}
```

## Common options

Every verb takes these:

{common}

## Verbs

| verb | what it does |
| --- | --- |
{verbs}
"""


def page() -> str:
    """The whole page."""
    found = commands()
    leaves = [one for one in found if one.path and not one.verbs]
    common = {one.flags for one in set.intersection(*(set(one.options) for one in leaves))}
    shared = [one for one in leaves[0].options if one.flags in common and "--help" not in one.flags]
    verbs = "\n".join(
        f"| [`{one.name}`](#{one.name.replace(' ', '-')}) | {_cell(one.help)} |" for one in leaves
    )
    preface = PREFACE.format(epilog=EPILOG.strip(), common="\n".join(_rows(shared)), verbs=verbs)
    return "\n".join([preface, *(section for one in leaves for section in _section(one, common))])


def _section(one: Command, common: set[tuple[str, ...]]) -> Iterator[str]:
    yield f"### {one.name}\n"
    yield f"{one.description}\n"
    own = [option for option in one.options if option.flags not in common]
    yield f"```text\n{_usage(one, own)}\n```\n"
    if rows := list(_rows([*one.arguments, *own])):
        yield "\n".join(rows) + "\n"
    if (shape := SHAPES.get(one.name)) is not None:
        yield f"`--json`: {'an object a line: ' if shape.lines else ''}{shape.text}.\n"


def _usage(one: Command, own: Iterable[Option]) -> str:
    parts = [f"deployd {one.name}"]
    for option in own:
        longest = max(option.flags, key=len)
        parts.append(f"[{longest} {option.metavar}]" if option.takes_value else f"[{longest}]")
    for argument in one.arguments:
        name = f"{argument.metavar}…" if argument.many else argument.metavar
        parts.append(name if argument.needed else f"[{name}]")
    return " ".join(parts)


def _rows(options: Iterable[Option]) -> Iterator[str]:
    given = [one for one in options if one.help]
    if not given:
        return
    yield "| | |\n| --- | --- |"
    for one in given:
        flags = ", ".join(one.flags) or one.metavar
        value = f" {one.metavar}" if one.flags and one.takes_value else ""
        yield f"| `{_cell(flags + value)}` | {_cell(one.help)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(arguments: list[str]) -> int:
    """Print docs/cli.md; with `--check FILE` say whether FILE is current (exit status 1: it is not)."""
    text = page()
    if arguments[:1] == ["--check"]:
        if Path(arguments[1]).read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write(f"{arguments[1]} is not what the parser says: run `make docs`\n")
        return 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
