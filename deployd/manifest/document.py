"""YAML text to a tree of nodes that know their place. Hostile text is refused, and does nothing worse."""

from __future__ import annotations

import re

import yaml

from deployd.manifest.problem import Problems

__all__ = ["SIZE_MAXIMUM", "compose", "compose_all"]

SIZE_MAXIMUM = 256 * 1024
"""Characters. A monorepo of a hundred services needs a tenth of it."""
DEPTH_MAXIMUM = 32
"""Levels. libyaml's composer recurses in C: without a bound, a file of brackets kills the process."""

FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML 1.1 does not allow in a stream (section 5.1)."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def compose(text: str, file: str) -> yaml.Node:
    """The root node of the one document in `text`. Raises ManifestError."""
    problems = Problems(file)
    root: yaml.Node | None = None
    if plain(text, problems):
        try:
            if bounded(text, problems):
                root = yaml.compose(text, Loader=LOADER)
        except yaml.YAMLError as error:
            note(error, text, problems)
    if root is None and not problems:
        problems.add(0, 0, "", "is empty, would be a mapping with `deployd: 1` and `service:` or `services:`")
    if root is None:
        raise problems.error()
    return root


def compose_all(text: str, file: str) -> list[yaml.Node]:
    """The root nodes of all documents in `text`, less the empty ones. Raises ManifestError."""
    problems = Problems(file)
    roots: list[yaml.Node] = []
    if plain(text, problems):
        try:
            if bounded(text, problems):
                roots = [one for one in yaml.compose_all(text, Loader=LOADER) if one is not None]
        except yaml.YAMLError as error:
            note(error, text, problems)
    if problems:
        raise problems.error()
    return [one for one in roots if not (one.tag == "tag:yaml.org,2002:null" and not one.value)]


def plain(text: str, problems: Problems) -> bool:
    """Whether it is text of a size that YAML can be read from."""
    if len(text) > SIZE_MAXIMUM:
        problems.add(0, 0, "", f"has {len(text)} characters, would be at most {SIZE_MAXIMUM}")
    elif bad := FORBIDDEN.search(text):
        line = text.count("\n", 0, bad.start())
        column = bad.start() - (text.rfind("\n", 0, bad.start()) + 1)
        problems.add(
            line, column, "YAML", f"holds the character U+{ord(bad.group()):04X}, would be plain text"
        )
    return not problems


def bounded(text: str, problems: Problems) -> bool:
    """Whether the nesting is shallow enough to compose, seen from the flat stream of events."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_MAXIMUM:
            mark = event.start_mark
            assert mark is not None  # a loader's events have one
            problems.add(
                mark.line, mark.column, "YAML", f"nests deeper than {DEPTH_MAXIMUM} levels, would be flatter"
            )
            return False
    return True


def note(error: yaml.YAMLError, text: str, problems: Problems) -> None:
    """Where and why the text is no YAML."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line, mark.column) if mark else (0, 0)
    context = getattr(error, "context", None) or ""
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "is not YAML"
    if "another document" in what:
        said, advice = "begins a second document", "one document in a file"
    elif mark and text[mark.index : mark.index + 1] == "\t":
        said, advice = "has a tab here", "indented with spaces"
    else:
        said, advice = f"{what} {context}".strip(), "valid YAML"
    problems.add(line, column, "YAML", " ".join(f"{said}, would be {advice}".split()))
