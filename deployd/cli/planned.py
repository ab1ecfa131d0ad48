"""How a plan looks, as text: a mark for each item, before → after for each field. Pure."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from deployd.cli.client import Json
from deployd.cli.progress import word
from deployd.cli.terminal import Paint, cells, clean, cut
from deployd.model.plan import PlanAction

__all__ = ["changes", "counted", "legend", "plan_lines", "summary"]

_MARKS = {
    PlanAction.CREATE: ("+", "green"),
    PlanAction.CHANGE: ("~", "yellow"),
    PlanAction.REPLACE: ("!", "red"),
    PlanAction.ROLL: (">", "cyan"),
    PlanAction.ORPHAN: ("?", "yellow"),
    PlanAction.DELETE: ("-", "red"),
    PlanAction.NOTHING: ("=", "dim"),
}
_INDENT = " " * 4
_COLUMN = 36
"""Cells of a path, at most, before its values: longer ones push theirs to the right."""
_HASH = re.compile(r"[0-9a-f]{40}")


def changes(items: Sequence[Json]) -> list[Json]:
    """Those with which something is done."""
    return [one for one in items if _action(one) is not PlanAction.NOTHING]


def counted(items: Sequence[Json]) -> dict[str, int]:
    """How many items there are for each action."""
    found = Counter(_action(one) for one in items)
    return {str(action): found[action] for action in PlanAction}


def summary(items: Sequence[Json]) -> str:
    """`2 to create, 1 to roll, 5 unchanged`; and how many of them wait for an approval."""
    count = counted(items)
    parts = [
        f"{number} to {action}" for action, number in count.items() if number and action != PlanAction.NOTHING
    ]
    parts = parts or ["nothing to do"]
    if count[PlanAction.NOTHING]:
        parts.append(f"{count[PlanAction.NOTHING]} unchanged")
    waiting = sum(one["approval"] for one in items)
    approval = f"; {waiting} {'waits' if waiting == 1 else 'wait'} for an approval" if waiting else ""
    return ", ".join(parts) + approval


def legend(items: Sequence[Json]) -> str:
    """What the marks mean that the items have; empty where there are none."""
    there = {_action(one) for one in changes(items)}
    return "  ".join(f"{_MARKS[action][0]} {action}" for action in PlanAction if action in there)


def plan_lines(
    items: Sequence[Json], width: int | None, paint: Paint, *, unchanged: bool = False
) -> list[str]:
    """All that is done, in full; what stays as it is in one line, unless all of it is wanted.

    No line is wider than `width`, None: as wide as it is. What stays and has a note is told in any case.
    """
    lines: list[str] = []
    quiet: list[Json] = []
    holders: dict[str, list[str]] = {}
    for one in items:
        for note in one["notes"]:
            holders.setdefault(note, []).append(clean(one["name"]))
    shared = {note: names for note, names in holders.items() if len(names) > 1}
    for one in items:
        if _action(one) is PlanAction.NOTHING and not unchanged and not one["notes"]:
            quiet.append(one)
        else:
            lines += _item(
                {**one, "notes": [each for each in one["notes"] if each not in shared]}, width, paint
            )
    if quiet:
        names = ", ".join(f"{word(one['kind'])} {clean(one['name'])}" for one in quiet)
        text = f"= {len(quiet)} unchanged: {names}"
        lines.append(paint(text if width is None else cut(text, width), "dim"))
    for note, who in shared.items():
        told = _wrapped(f"note for {', '.join(who)}: {clean(note)}", width, deeper=-len(_INDENT))
        lines += [paint(line, "yellow") for line in told]
    return lines


def _item(one: Json, width: int | None, paint: Paint) -> Iterator[str]:
    action = _action(one)
    mark, style = _MARKS[action]
    head = f"{mark} {word(one['kind'])} {clean(one['name'])}"
    waits = "  waits for an approval" if one["approval"] else ""
    if width is not None and cells(head) + cells(waits) > width:
        head = cut(head, width - cells(waits))
    bold = () if action is PlanAction.NOTHING else ("bold",)
    yield paint(head, style, *bold) + paint(waits, "yellow")
    for line in _wrapped(clean(one["why"]), width):
        yield paint(line, "dim")
    column = min(max((cells(each["path"]) for each in one["fields"]), default=0), _COLUMN)
    for each in one["fields"]:
        yield from _field(each, action, column, width, paint)
    for note in one["notes"]:
        for line in _wrapped(f"note: {clean(note)}", width):
            yield paint(line, "yellow")


def _field(one: Json, action: PlanAction, column: int, width: int | None, paint: Paint) -> Iterator[str]:
    path = clean(one["path"])
    head = f"{_INDENT}{path}{' ' * max(0, column - cells(path))}  "
    before, after = _value(one["before"]), _value(one["after"])
    match before, after:
        case None, None:
            parts = [("set again", "yellow")]
        case None, str(after):
            parts = [(after if action is PlanAction.CREATE else f"+ {after}", "green")]
        case str(before), None:
            parts = [(f"- {before}", "red")]
        case _:
            parts = [(str(before), "red"), (" → ", "dim"), (str(after), "green")]
    text = "".join(each for each, _ in parts)
    if width is None or cells(head) + cells(text) <= width:
        yield head + "".join(paint(each, style) for each, style in parts)
        return
    yield f"{_INDENT}{cut(path, width - len(_INDENT))}"
    for each, style in parts:
        lead = "→ " if (each, style) == parts[-1] and len(parts) > 1 else ""
        for line in _wrapped(lead + each, width, deeper=2) if each.strip() != "→" else ():
            yield paint(line, style)


def _value(text: str | None) -> str | None:
    """On one line, with nothing in it that moves the cursor; the id of a commit or tree is cut."""
    if text is None:
        return None
    if _HASH.fullmatch(text):
        return text[:12]
    return clean(text.replace("\\", "\\\\").replace("\n", "\\n")) if text else '""'


def _wrapped(text: str, width: int | None, *, deeper: int = 0) -> list[str]:
    indent = " " * (len(_INDENT) + deeper)
    if width is None:
        return [indent + text] if text else []
    return textwrap.wrap(
        text, max(width, 20), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _action(one: Json) -> PlanAction:
    return PlanAction(word(one["action"]))
