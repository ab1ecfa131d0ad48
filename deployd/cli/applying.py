"""apply: make worlds as the operator's files describe them."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from deployd.cli import documents
from deployd.cli.client import Client, Json, raised
from deployd.cli.differing import Difference, differences
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.session import client_of, console_of
from deployd.cli.terminal import Console
from deployd.errors import Conflict, Forbidden, InputError, ManifestError
from deployd.manifest.operator import Draft, read_worlds
from deployd.model.sensitive import HIDDEN, is_sensitive
from deployd.model.world import Capability

__all__ = ["apply"]

SUFFIXES = (".yaml", ".yml")
QUOTED = re.compile(r"`([^`\s]+)`")
"""A key, as drivers' errors name it."""
WIDEST = 60
"""Characters of a value that are shown."""


async def apply(options: Options, arguments: argparse.Namespace) -> int:
    """All files are read before anything is asked of the server; then each world by itself, in order."""
    drafts = read_worlds(_texts(arguments.file))
    if not drafts:
        raise InputError("the files describe nothing", remedy="Write `world: NAME` and what it can do.")
    console = console_of(options)
    async with client_of(options) as client:
        made = [await _one(client, console, one, dry=arguments.dry_run) for one in drafts]
    if console.json:
        console.document(made)
    return ExitCode.DONE


def _texts(files: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each file's name, as people know it, and its text. Raises InputError."""
    for name in files:
        if name == "-":
            yield "stdin", _decoded("stdin", sys.stdin.buffer.read())
            continue
        path = Path(name).expanduser()
        found = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES) if path.is_dir() else [path]
        if not found:
            raise InputError(
                f"{path} has no file that ends in .yaml", remedy="Name another folder, or a file."
            )
        for one in found:
            try:
                content = one.read_bytes()
            except OSError as error:
                raise InputError(
                    f"{one} cannot be read: {error.strerror}", remedy="Name a file that is there."
                ) from error
            yield str(one), _decoded(str(one), content)


def _decoded(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8", remedy="Save it as UTF-8.") from error


async def _one(client: Client, console: Console, draft: Draft, *, dry: bool) -> Json:
    world: Json | None = (await client.query(documents.WORLD_WHOLE, {"world": draft.name}))["world"]
    if world is None or world["retiredAt"] is not None:
        _tell(console, draft.name, "create", [])
        for key, names in (("capabilities", draft.capabilities), ("gates", draft.gates)):
            if names and not console.json:
                console.say(f"  {key}: {', '.join(names)}")
        if not dry:
            await _ask(client, draft, documents.MAKE_WORLD, _creation(draft))
        return {"world": draft.name, "action": "create", "changes": []}
    if any(one["config"] is None for one in world["capabilities"]):
        raise Forbidden(
            f"what world {draft.name} can do is the operator's, and you may not see it",
            remedy="Ask somebody with the role operator or higher.",
        )
    if draft.ephemeral is not None and draft.ephemeral != world["ephemeral"]:
        raise Conflict(
            f"{draft.place('ephemeral')}: ephemeral: world {draft.name} is"
            f" {'ephemeral' if world['ephemeral'] else 'lasting'}, and stays so",
            remedy="Make another world, or take the line out.",
        )
    found = differences(draft, world)
    action = "change" if found else "nothing"
    _tell(console, draft.name, action, found)
    if found and not dry:
        await _ask(client, draft, documents.UPDATE_WORLD, {"input": _update(draft, world)})
    changes = [
        {"field": one.field, "kind": one.kind, "before": one.before, "after": one.after} for one in found
    ]
    return {"world": draft.name, "action": action, "changes": changes}


def _creation(draft: Draft) -> Json:
    return {
        "name": draft.name,
        "ephemeral": draft.ephemeral is True,
        "capabilities": [_capability(*one) for one in (draft.capabilities or {}).items()],
        "gates": _gates(draft) or [],
    }


def _update(draft: Draft, world: Json) -> Json:
    wanted = draft.capabilities
    return {
        "name": draft.name,
        "capabilities": None if wanted is None else [_capability(*one) for one in wanted.items()],
        "gates": _gates(draft),
        "expectedVersion": world["version"],
    }


def _capability(name: str, one: Capability) -> Json:
    return {
        "name": name,
        "driver": one.driver,
        "config": dict(one.config),
        "approval": one.approval,
        "limit": one.limit,
    }


def _gates(draft: Draft) -> list[Json] | None:
    if draft.gates is None:
        return None
    return [
        {"name": name, "allow": list(one.allow), "ports": list(one.ports)}
        for name, one in draft.gates.items()
    ]


async def _ask(client: Client, draft: Draft, document: str, variables: Json) -> None:
    """Raises what the server refuses, with its place in the file."""
    answer: Json = next(iter((await client.query(document, variables)).values()))
    if answer["__typename"] != "Problem":
        return
    place = _place(draft, answer["path"], answer["message"])
    if place is None or answer["code"] not in ("INVALID_INPUT", "NOT_FOUND", "UNSUPPORTED"):
        raise raised(answer)
    right = f" {answer['remedy']}" if answer["remedy"] else ""
    raise ManifestError((f"{place}: {answer['message']}.{right}",))


def _place(draft: Draft, path: list[str], message: str) -> str | None:
    """Where in the file that is which the server means: `input.capabilities.1.config`, and a key of it."""
    parts = path[1:] if path[:1] == ["input"] else path
    lists = {"capabilities": draft.capabilities, "gates": draft.gates}
    names = lists.get(parts[0]) if parts else None
    if names is None or len(parts) < 2 or not parts[1].isdecimal():
        return None
    here = parts[0], list(names)[int(parts[1])]
    told = next((word for word in QUOTED.findall(message) if (*here, word) in draft.places), None)
    return draft.place(*here, *(parts[2:] if told is None else [told]))


def _tell(console: Console, name: str, action: str, found: list[Difference]) -> None:
    if console.json:
        return
    style = {"create": "green", "change": "yellow"}.get(action, "dim")
    console.say(f"world {name}: {console.paint(action, style)}")
    for one in found:
        if one.kind == "changed":
            line = f"  ~ {one.field}: {_shown(one.field, one.before)} → {_shown(one.field, one.after)}"
        elif one.kind == "added":
            line = f"  + {one.field}: {_shown(one.field, one.after)}"
        else:
            line = f"  - {one.field}"
        console.say(line)


def _shown(field: str, value: object) -> str:
    if is_sensitive(field.rpartition(".")[2]):
        return HIDDEN
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
