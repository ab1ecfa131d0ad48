"""Reads the stage that is meant of a Dockerfile as a process in the source tree, where that is faithful.

Whatever the process would miss in the tree (what a RUN builds, what another stage makes, folders that
copies rearrange) is refused at its line, with the `run:` line that a person may write instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from deployd.drivers.process.placement import Placement
from deployd.drivers.process.recipe import Recipe
from deployd.drivers.process.stage import Instruction, Stage, not_faithful
from deployd.errors import Terminal
from deployd.model.reason import Reason

__all__ = ["read_dockerfile"]

LARGEST = 1024 * 1024
"""Bytes; no Dockerfile that a person wrote is larger."""


def read_dockerfile(
    tree: Path,
    context: str,
    name: str,
    path: str,
    *,
    target: str | None = None,
    args: Mapping[str, str] | None = None,
) -> Recipe | tuple[Reason, ...]:
    """The recipe, or why there is none. `path` is the PATH that `$PATH` means in it.

    `target` is the stage that is meant (None: the last), `args` are what its ARG instructions are given.

    Raises Terminal where the parser is not installed.
    """
    try:
        import dockerfile  # an extra, and a large library
    except ImportError as error:
        raise Terminal(
            "deploy:process cannot read Dockerfiles: the library `dockerfile` is not installed",
            remedy="Install it with `pip install 'deployd[local]'`, or write `run: …` in deployd.yaml.",
        ) from error
    shown = "/".join(part for part in (context.strip("/"), name) if part not in {"", "."})
    folder = tree / context
    if not folder.resolve().is_relative_to(tree.resolve()) or not folder.is_dir():
        return (not_faithful("CONTEXT_MISSING", f"{context}: the source tree has no such folder", ""),)
    file = folder / name
    try:
        if not file.resolve().is_relative_to(tree.resolve()):
            raise OSError("it lies outside of the source tree")
        text = file.read_text(encoding="utf-8") if file.stat().st_size <= LARGEST else ""
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        summary = f"{shown}:1: this Dockerfile cannot be read: {why}"
        return (not_faithful("DOCKERFILE_MISSING", summary, ""),)  # it is the manifest that names it
    try:
        instructions: tuple[Instruction, ...] = dockerfile.parse_string(text)
    except ValueError as error:
        at = re.search(r"line (\d+)", str(error))
        where = f"{shown}:{at[1] if at else 1}"
        return (not_faithful("DOCKERFILE_BROKEN", f"{where}: this Dockerfile is broken: {error}", "", where),)
    escape = re.match(r"(?:#[^\n]*\n)*?#\s*escape\s*=\s*(\S)", text, re.IGNORECASE)
    stage = Stage(
        shown,
        Placement(folder),
        escape[1] if escape else "\\",
        {"PATH": path},
        target=target,
        given=dict(args or {}),
    )
    return stage.read(instructions)
