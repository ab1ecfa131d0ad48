"""What clients may rely on: `python tools/baseline.py [--check | --release] [FOLDER]`.

docs/schema.baseline.graphql is the schema as it landed last. What schema.graphql takes away from it is said
in CHANGELOG.md, in the part that is headed `unreleased`, one line each, in graphql-core's words:
`BREAKING: Field Query.version was removed`. Git is not asked: a checkout of one commit without a remote knows
as much.

While nothing is taken away the two files are the same, which `make schema` sees to. Once something is, and
said, the baseline stays behind until a release; then `unreleased` goes from the heading, nothing is said any
more, and the check fails until `--release` brings the baseline forward. So neither can be forgotten.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from graphql import build_schema
from graphql.utilities import find_breaking_changes, find_dangerous_changes

_MARK = "BREAKING: "


def main(arguments: list[str]) -> int:
    """1 where something has to be done, which is told."""
    options = [one for one in arguments if one.startswith("-")]
    folders = [one for one in arguments if not one.startswith("-")]
    if len(folders) > 1 or options not in ([], ["--check"], ["--release"]):
        print("usage: baseline.py [--check | --release] [FOLDER]", file=sys.stderr)
        return 2
    root = Path(folders[0]) if folders else Path(__file__).resolve().parent.parent
    baseline, schema = root / "docs" / "schema.baseline.graphql", root / "schema.graphql"
    text = schema.read_text(encoding="utf-8")
    landed = baseline.read_text(encoding="utf-8") if baseline.is_file() else ""
    breaking, dangerous = _changes(landed, text) if landed else ([], [])
    said = _said((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    for one in dangerous:
        print(f"schema.graphql, not quite as before: {one}")

    released = options == ["--release"] and not said
    if options == ["--release"] and said:
        return _complain("nothing is released while CHANGELOG.md has this under `unreleased`", said)
    if not released:
        if unsaid := [one for one in breaking if one not in said]:
            return _complain("say in CHANGELOG.md under `unreleased`, or do without", unsaid)
        if vain := [one for one in said if one not in breaking]:
            return _complain("CHANGELOG.md says this of schema.graphql, and it is not so", vain)
    if text != landed and (released or not breaking):
        if options == ["--check"]:
            print(f"{baseline} is not the schema: make schema", file=sys.stderr)
            return 1
        baseline.write_text(text, encoding="utf-8")
    return 0


def _changes(old: str, new: str) -> tuple[list[str], list[str]]:
    """What breaks clients, and what may surprise them, in graphql-core's words."""
    before, after = build_schema(old), build_schema(new)
    return (
        [one.description.rstrip(".") for one in find_breaking_changes(before, after)],
        [one.description.rstrip(".") for one in find_dangerous_changes(before, after)],
    )


def _said(changelog: str) -> list[str]:
    """The lines of what is not released yet."""
    said: list[str] = []
    unreleased = False
    for line in changelog.splitlines():
        if line.startswith("## "):
            unreleased = "unreleased" in line.lower()
        elif unreleased and (found := re.match(rf"[-*]? *{_MARK}(.+)", line)):
            said.append(found[1].strip().rstrip("."))
    return said


def _complain(what: str, changes: list[str]) -> int:
    print(f"{what}:", file=sys.stderr)
    for one in changes:
        print(f"- {_MARK}{one}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
