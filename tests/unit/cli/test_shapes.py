"""No verb goes without --json, a word on what it prints then, and help."""

from pathlib import Path

import pytest

from deployd.cli.commands import Command, commands
from deployd.cli.page import page
from deployd.cli.shapes import SHAPES

LEAVES = {one.name: one for one in commands() if one.path and not one.verbs}


@pytest.mark.parametrize("verb", sorted(LEAVES))
def test_every_verb_speaks_json_and_says_what(verb: str):
    one: Command = LEAVES[verb]
    flags = {flag for option in one.options for flag in option.flags}
    assert {"--json", "--world", "--server", "--context", "--no-color", "--help"} <= flags
    assert verb in SHAPES, f"say in deployd/cli/shapes.py what `{verb} --json` prints"
    assert one.help
    assert all(option.help for option in one.options)


def test_the_page_is_current():
    """`make check` says so too; this names the place."""
    there = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    assert there == page()
    for verb in LEAVES:
        assert f"\n### {verb}\n" in there
