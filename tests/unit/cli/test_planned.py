"""How a plan looks."""

from __future__ import annotations

import io
from typing import Any

from deployd.cli.planned import legend, plan_lines, summary
from deployd.cli.progress import Attempt, Progress
from deployd.cli.render import board
from deployd.cli.terminal import Console, cells

Json = dict[str, Any]
LONG = "a greeting to everybody who comes to our shop, in which all is cheap and good"


def item(action: str, name: str, *fields: tuple[str, str | None, str | None], **more: Any) -> Json:
    told = [{"path": path, "before": before, "after": after} for path, before, after in fields]
    made = {"kind": "SERVICE", "name": name, "action": action, "why": f"why of {name}", "approval": False}
    return {**made, "fields": told, "notes": [], **more}


ITEMS = [
    item("CREATE", "cart", ("run", None, "ok"), ("source", None, "a" * 40)),
    item(
        "ROLL",
        "web",
        ("env.LEVEL", "info", "debug"),
        ("env.OLD", "x", None),
        ("env.NEW", None, "two\nlines \x1b[31m"),
        ("secrets.key", None, None),
        approval=True,
        notes=["shared", "its own"],
    ),
    item("NOTHING", "mail"),
    item("NOTHING", "report"),
    item("NOTHING", "gone", notes=["to end it: deployd retire gone"]),
    item("ORPHAN", "cart/old", kind="RESOURCE", notes=["shared"]),
]


def plain(text: str, *_: str) -> str:
    return text


def test_a_plan_as_a_whole() -> None:
    assert plan_lines(ITEMS, None, plain) == [
        "+ service cart",
        "    why of cart",
        "    run     ok",
        "    source  aaaaaaaaaaaa",
        "> service web  waits for an approval",
        "    why of web",
        "    env.LEVEL    info → debug",
        "    env.OLD      - x",
        "    env.NEW      + two\\nlines ",
        "    secrets.key  set again",
        "    note: its own",
        "= service gone",
        "    why of gone",
        "    note: to end it: deployd retire gone",
        "? resource cart/old",
        "    why of cart/old",
        "= 2 unchanged: service mail, service report",
        "note for web, cart/old: shared",
    ]
    assert summary(ITEMS) == "1 to create, 1 to roll, 1 to orphan, 3 unchanged; 1 waits for an approval"
    assert summary(ITEMS[2:5]) == "nothing to do, 3 unchanged"
    assert legend(ITEMS) == "+ create  > roll  ? orphan"
    assert "= service mail" in plan_lines(ITEMS, None, plain, unchanged=True)


def test_no_line_is_wider_than_the_terminal_and_no_value_is_lost() -> None:
    items = [*ITEMS, item("CHANGE", "x" * 90, (f"env.{'Y' * 90}", LONG, f"{LONG}!"), approval=True)]
    for width in (40, 80, 160):
        lines = plan_lines(items, width, plain)
        assert max(cells(line) for line in lines) <= width
        assert f"{LONG}!".replace(" ", "") in "".join(lines).replace(" ", "")


def test_who_waits_for_an_approval_sees_what_for() -> None:
    change = Attempt("change-1", state="awaiting_approval", items=ITEMS)
    lines = board(Progress(change), 80, 40, 0.0, plain, "reading /src")
    assert "> service web  waits for an approval" in lines
    assert lines[-1] == "approve it: deployd approve change-1"
    short = board(Progress(change), 80, 10, 0.0, plain, "reading /src")
    assert len(short) <= 10
    assert short[-1] == lines[-1]
    assert short[-2].startswith("… and ")


def test_colours_are_where_they_are_wanted() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    paint = Console(out=Terminal(), environ={}).paint
    assert "\x1b[31minfo\x1b[0m" in "\n".join(plan_lines(ITEMS, 80, paint))
