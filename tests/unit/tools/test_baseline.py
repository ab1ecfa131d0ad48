"""What the schema takes away is said, whoever forgets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.tools.loading import tool

BASELINE = tool("baseline")
OLD = 'enum Colour {\n  RED\n}\n\ntype Query {\n  "One."\n  a: Int\n  b(x: Int): Colour\n}\n'
WITHOUT_A = OLD.replace('  "One."\n  a: Int\n', "")
SAID = "- BREAKING: Field Query.a was removed.\n"


class Checkout:
    """A folder with the three files."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.root = root
        (root / "docs").mkdir()
        self.baseline = root / "docs" / "schema.baseline.graphql"
        self.baseline.write_text(OLD)
        self.schema(OLD)
        self.changelog("")

    def schema(self, text: str) -> None:
        (self.root / "schema.graphql").write_text(text)

    def changelog(self, lines: str, heading: str = "0.2.0 (unreleased)") -> None:
        text = (
            f"# Changelog\n\n## {heading}\n\nWords.\n\n{lines}\n## 0.1.0\n\n- BREAKING: Query.b was removed\n"
        )
        (self.root / "CHANGELOG.md").write_text(text)

    def run(self, *options: str) -> tuple[int, str]:
        status = BASELINE.main([*options, str(self.root)])
        told = self.capsys.readouterr()
        return status, told.out + told.err


@pytest.fixture
def checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Checkout:
    return Checkout(tmp_path, capsys)


def test_this_checkout_is_whole() -> None:
    assert BASELINE.main(["--check"]) == 0


def test_what_is_added_comes_into_the_baseline(checkout: Checkout) -> None:
    assert checkout.run("--check") == (0, "")
    more = OLD.replace("a: Int", "a: Int\n  c: Int")
    checkout.schema(more)
    status, said = checkout.run("--check")
    assert status == 1
    assert "make schema" in said
    assert checkout.run() == (0, "")
    assert checkout.baseline.read_text() == more
    assert checkout.run("--check") == (0, "")


def test_what_is_taken_away_has_to_be_said(checkout: Checkout) -> None:
    checkout.schema(WITHOUT_A)
    for options in (["--check"], []):
        status, said = checkout.run(*options)
        assert status == 1
        assert "- BREAKING: Field Query.a was removed\n" in said
        assert checkout.baseline.read_text() == OLD
    checkout.changelog("- BREAKING: Field Query.a.b was removed\n")
    assert checkout.run("--check")[0] == 1
    checkout.changelog(SAID)
    for options in (["--check"], []):
        assert checkout.run(*options) == (0, "")
    assert checkout.baseline.read_text() == OLD, "what was said can be checked until it is released"


def test_a_release_brings_the_baseline_forward(checkout: Checkout) -> None:
    checkout.schema(WITHOUT_A)
    checkout.changelog(SAID)
    assert checkout.run("--release")[0] == 1
    checkout.changelog(SAID, heading="0.2.0")
    assert checkout.run("--check")[0] == 1, "what an older release said counts no more"
    assert checkout.run("--release") == (0, "")
    assert checkout.baseline.read_text() == WITHOUT_A
    assert checkout.run("--check") == (0, "")


def test_what_is_said_in_vain_is_told(checkout: Checkout) -> None:
    """Such as after a baseline that was copied by hand."""
    checkout.changelog(SAID)
    status, said = checkout.run("--check")
    assert status == 1
    assert "it is not so" in said


def test_what_may_surprise_is_only_printed(checkout: Checkout) -> None:
    checkout.schema(OLD.replace("RED", "RED\n  BLUE"))
    status, said = checkout.run()
    assert status == 0
    assert "not quite as before" in said
    assert "BLUE" in said
