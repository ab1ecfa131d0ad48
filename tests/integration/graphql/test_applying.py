"""The operator's files against a server: shown, applied, applied again, and refused with their places."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from deployd.cli.applying import apply
from deployd.cli.options import Options
from deployd.cli.showing import show
from deployd.errors import Conflict, ManifestError
from deployd.manifest.operator import read_worlds
from deployd.settings import Settings
from tests.integration.web.server import Served

FILE = """\
world: local
capabilities:
  main: {driver: deploy:process, grace_seconds: 3}
gates: {office: {allow: [203.0.113.0/24], ports: [443]}}
---
world: staging
ephemeral: true
capabilities:
  main: {driver: deploy:process, approval: true}
  data:
    driver: local/postgres
    first_port: 30700
"""


async def run(served: Served, tmp_path: Path, *texts: str, dry: bool = False) -> int:
    files = []
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        files.append(str(path))
    options = Options("local", Settings.from_environment({}), served.url, json=False, no_color=True)
    return await apply(options, argparse.Namespace(file=files, dry_run=dry))


async def shown(served: Served, name: str, capsys: pytest.CaptureFixture[str], output: str | None) -> str:
    options = Options(
        "local", Settings.from_environment({}), served.url, json=output == "json", no_color=True
    )
    arguments = argparse.Namespace(name=name, output="yaml" if output == "yaml" else None)
    assert await show(options, arguments) == 0
    return capsys.readouterr().out


async def test_worlds_become_what_files_say(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = [
        "world local: change",
        "  + capabilities.main.grace_seconds: 3",
        '  + gates.office: {"allow": ["203.0.113.0/24"], "ports": [443]}',
        "world staging: create",
        "  capabilities: main, data",
    ]
    assert await run(served, tmp_path, FILE, dry=True) == 0
    assert capsys.readouterr().out.splitlines() == told
    assert await run(served, tmp_path, FILE) == 0
    assert capsys.readouterr().out.splitlines() == told
    assert await run(served, tmp_path, FILE) == 0
    assert capsys.readouterr().out.splitlines() == ["world local: nothing", "world staging: nothing"]

    # What is shown as a file is such a file.
    for name in ("local", "staging"):
        text = await shown(served, name, capsys, "yaml")
        assert await run(served, tmp_path, text) == 0
        assert capsys.readouterr().out.splitlines() == [f"world {name}: nothing"]
    assert "runs a tree" in await shown(served, "staging", capsys, None)
    whole: Any = json.loads(await shown(served, "staging", capsys, "json"))
    assert whole["ephemeral"] is True

    # What is not said stays; what is said is all of it.
    assert await run(served, tmp_path, "world: local\ngates: {}\n") == 0
    assert capsys.readouterr().out.splitlines() == ["world local: change", "  - gates.office"]

    with pytest.raises(ManifestError) as wrong:
        await run(served, tmp_path, FILE.replace("first_port: 30700", "first_prt: 1"))
    assert f"{tmp_path / '0.yaml'}:12:5: local/postgres does not know the setting `first_prt`" in str(
        wrong.value
    )
    with pytest.raises(Conflict, match=r"0\.yaml:2:1: ephemeral: world local is lasting"):
        await run(served, tmp_path, "world: local\nephemeral: true\n")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    one = """\
world: Production
capabilites: {}
capabilities:
  main: {approval: yes please}
  eu: [aws]
gates: {office: {alow: [10.0.0.0/8], ports: [0]}}
repositories: [acme/production]
---
repository: acme/production
inherits: [builtin/aws]
---
- nothing
"""
    other = "world: a\n---\nworld: a\ncapabilities: {main: {driver: d, deep: {x: [1, 2.5, true, ~]}}}\n"
    with pytest.raises(ManifestError) as wrong:
        read_worlds([("one.yaml", one), ("other.yaml", other), ("bad.yaml", "world: [\n")])
    lines = wrong.value.problems
    places = [":".join(line.split(":")[:3]) for line in lines]
    assert places == [
        "one.yaml:1:8",
        "one.yaml:2:1",
        "one.yaml:4:9",
        "one.yaml:4:20",
        "one.yaml:5:7",
        "one.yaml:6:18",
        "one.yaml:6:46",
        "one.yaml:7:1",
        "one.yaml:9:1",
        "one.yaml:12:1",
        "bad.yaml:2:1",
        "other.yaml:3:1",
    ], lines
    assert "would be `capabilities`" in lines[1]
    assert lines[8].endswith("repository: resource repositories cannot be published yet")
    [good] = read_worlds([("g", other.partition("---\n")[2])])
    assert good.capabilities is not None
    assert good.capabilities["main"].config == {"deep": {"x": [1, 2.5, True, None]}}
    assert read_worlds([("empty", "---\n---\n")]) == []
