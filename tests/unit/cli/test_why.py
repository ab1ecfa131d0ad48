"""why and explain, as they are read."""

from __future__ import annotations

import io
import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployd.cli.main import main
from deployd.cli.terminal import Console, cells
from deployd.cli.why import quoted, tell
from tests.unit.cli.told import BEGAN

NOW = BEGAN + timedelta(seconds=90)
REASON = {
    "code": "CRASH_LOOP",
    "summary": "cart-2 (`python -m cart`) exited with code 3, 3 times in a row",
    "evidence": "Traceback\nKeyError: 'PAYMENT'",
    "remedy": "Read its last lines, mend the program or its settings, and deploy again.",
    "fault": "FAILED",
    "subject": {"kind": "SERVICE", "name": "cart"},
    "where": "deployd.yaml:2:3",
}


def explanation(directory: Path, **more: Any) -> dict[str, Any]:
    def step(kind: str, name: str, summary: str, reason: Any) -> dict[str, Any]:
        subject = {"kind": kind, "name": name}
        return {"subject": subject, "summary": summary, "since": BEGAN.isoformat(), "reason": reason}

    return {
        "subject": {"kind": "SERVICE", "name": "cart"},
        "verdict": "UNWELL",
        "summary": "service cart: healthy",
        "since": BEGAN.isoformat(),
        "steps": [
            step(
                "CHANGE", "1", "deploy of /src: failed; asked for by ada", REASON | {"summary": "cart failed"}
            ),
            step("DEPLOYMENT", "2", "deployment of cart: failed in verifying", REASON),
        ],
        "cause": REASON,
        "meanwhile": "release 1 serves on at http://cart.localhost",
        "meanwhileSince": (BEGAN - timedelta(hours=3)).isoformat(),
        "next": "verifying: try 3",
        "nextAt": (NOW + timedelta(seconds=12)).isoformat(),
        "deadlineAt": (NOW + timedelta(minutes=5)).isoformat(),
        "directory": str(directory),
    } | more


def told(found: dict[str, Any], width: int | None = None, *, quotes: bool = True) -> list[str]:
    out = io.StringIO()
    console = Console(out=out, err=out, environ={})
    if width is not None:
        console.live = True
        console.size = lambda: (width, 40)  # type: ignore[method-assign]
    tell(console, found, NOW, quotes=quotes)
    return out.getvalue().splitlines()


def test_the_chain_from_the_request_to_the_cause(tmp_path: Path) -> None:
    file = tmp_path / "deployd.yaml"
    file.write_text("deployd: 1\n  run: python -m cart\n")
    os.utime(file, (0, 0))
    assert told(explanation(tmp_path)) == [
        "✘ service cart: healthy (for 90s)",
        "└ deploy of /src: failed; asked for by ada (90s ago)",
        "  └ deployment of cart: failed in verifying (90s ago)",
        "      cart-2 (`python -m cart`) exited with code 3, 3 times in a row [CRASH_LOOP]",
        "          Traceback",
        "          KeyError: 'PAYMENT'",
        "      at deployd.yaml:2:3",
        "          2 │   run: python -m cart",
        "what to do: Read its last lines, mend the program or its settings, and deploy again.",
        "meanwhile: release 1 serves on at http://cart.localhost (made 3h ago)",
        "next: verifying: try 3, in 12s; gives up in 5m00s",
    ]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int) -> None:
    lines = told(explanation(tmp_path), width)
    assert max(cells(line) for line in lines) <= width
    assert "[CRASH_LOOP]" in " ".join(lines)


def test_what_is_well_is_one_line(tmp_path: Path) -> None:
    nothing = {
        "steps": [],
        "cause": None,
        "meanwhile": None,
        "next": None,
        "nextAt": None,
        "deadlineAt": None,
    }
    found = explanation(tmp_path, verdict="WELL", meanwhileSince=None, **nothing)
    assert told(found) == ["✔ service cart: healthy (for 90s)"]


def test_a_line_is_quoted_only_from_the_folder_and_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    file = folder / "deployd.yaml"
    file.write_text("one\n\x1b[31mtwo\n")
    (tmp_path / "outside").write_text("secret\n")
    later = datetime.now(NOW.tzinfo) + timedelta(minutes=1)
    assert quoted(folder, "deployd.yaml:2:1", later) == "2 │ two"
    assert quoted(folder, "deployd.yaml:9:1", later) is None
    assert quoted(folder, "../outside:1:1", later) is None
    assert quoted(folder, "gone.yaml:1", later) is None
    assert quoted(folder, "deployd.yaml:2:1", later - timedelta(hours=1)) is None
    assert not any("│" in line for line in told(explanation(folder), quotes=False))


def test_a_code_is_explained_without_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "crash_loop"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("CRASH_LOOP\n  The program ends again and again.\nwhat to do: ")
    assert main(["explain", "NOT_FOUND", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["error"] is True
    assert main(["explain", "CRASH_LOP"]) == 2
    assert "Did you mean CRASH_LOOP?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "services.cart.rollout",
            ("rolling, blue-green, canary or recreate", "default: `rolling`", "strategy"),
        ),
        ("rollout.steps", ("percentages",)),
        ("routes[0].host", ("host",)),
        ("worlds.production.services.cart.scale.min", ("The fewest copies.",)),
    ],
)
def test_a_key_is_explained_by_its_path(
    path: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", path]) == 0
    said = capsys.readouterr().out
    assert [one for one in words if one not in said] == []


def test_a_key_that_is_none_is_told_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("services.cart.rolout", "rolout", "services.cart.port.x", ""):
        assert main(["explain", path]) == 2
    assert "Did you mean 'rollout'?" in capsys.readouterr().err
