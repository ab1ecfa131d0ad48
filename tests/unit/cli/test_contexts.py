from __future__ import annotations

import io
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from deployd.cli.arguments import parser
from deployd.cli.main import main
from deployd.cli.options import Options
from deployd.errors import NotFound, SettingsError

PROD, TEST = "https://prod.example.com", "https://test.example.com"


class Person:
    """Somebody at a terminal, with a home of their own."""

    def __init__(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.home, self.monkeypatch, self.capsys = home, monkeypatch, capsys
        for name in [name for name in os.environ if name.startswith("DEPLOYD_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        monkeypatch.setenv("DEPLOYD_HOME", str(home / "deployd"))

    @property
    def file(self) -> Path:
        return self.home / "config" / "deployd" / "config.yaml"

    def types(self, *argv: str, stdin: str = "", code: int = 0) -> str:
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        assert main([*argv]) == code
        said = self.capsys.readouterr()
        return said.out + said.err

    def json(self, *argv: str) -> Any:
        return json.loads(self.types(*argv, "--json"))

    def means(self, *argv: str, **environ: str) -> tuple[str, str, str | None]:
        """Server, world and token of `status` with these."""
        options = Options.of(parser().parse_args(["status", *argv]), os.environ | environ)
        url, token = options.address()
        return url, options.world, token


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(tmp_path, monkeypatch, capsys)


def test_a_context_is_made_used_shown_and_forgotten(person: Person):
    assert "make one: deployd context set" in person.types("context", "list")
    person.types("context", "set", "prod", "--server", f"{PROD}/", "--world", "production", "--token-stdin",
                 stdin="t-prod\n")  # fmt: skip
    assert stat.S_IMODE(person.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(person.file.parent.stat().st_mode) == 0o700
    person.types("context", "set", "here", "--world", "preview")
    assert person.means() == (PROD, "production", "t-prod")  # the first that there is, is in use
    person.types("context", "use", "here")
    assert person.means() == ("http://127.0.0.1:7070", "preview", None)
    listed = person.json("context", "list")
    assert [(one["name"], one["current"], one["token"]) for one in listed] == [
        ("prod", False, "kept in the context"), ("here", True, "none"),
    ]  # fmt: skip
    assert "t-prod" not in person.types("context", "list") + person.types("context", "show")
    person.types("context", "remove", "here")
    assert person.means() == ("http://127.0.0.1:7070", "local", None)
    assert "there is no context 'here'" in person.types("context", "use", "here", code=2)


def test_who_is_asked_first(person: Person):
    person.types(
        "context", "set", "prod", "--server", PROD, "--world", "production", "--token-stdin", stdin="tp"
    )
    person.types(
        "context", "set", "test", "--server", TEST, "--world", "testing", "--token-stdin", stdin="tt"
    )
    assert person.means() == (PROD, "production", "tp")
    assert person.means(DEPLOYD_CONTEXT="test") == (TEST, "testing", "tt")
    assert person.means("--context", "test", DEPLOYD_CONTEXT="prod") == (TEST, "testing", "tt")
    assert person.means(DEPLOYD_WORLD="blue") == (PROD, "blue", "tp")
    assert person.means("--world", "red", DEPLOYD_WORLD="blue") == (PROD, "red", "tp")
    assert person.means("--context", "test", DEPLOYD_WORLD="blue") == (TEST, "testing", "tt")
    assert person.means(DEPLOYD_TOKEN="te") == (PROD, "production", "te")
    with pytest.raises(NotFound):
        person.means("--context", "nowhere")


def test_a_token_goes_to_its_own_server_alone(person: Person):
    person.types(
        "context", "set", "prod", "--server", PROD, "--world", "production", "--token-stdin", stdin="tp"
    )
    other = "https://other.example.com"
    assert person.means("--server", other) == (other, "local", None)
    assert person.means(DEPLOYD_SERVER=other) == (other, "local", None)
    assert person.means(DEPLOYD_SERVER=other, DEPLOYD_TOKEN="te") == (other, "local", "te")
    assert person.means("--server", TEST, DEPLOYD_SERVER=other, DEPLOYD_TOKEN="te") == (TEST, "local", None)
    assert person.means("--context", "prod", DEPLOYD_SERVER=other, DEPLOYD_TOKEN="te")[2] == "tp"
    assert person.means("--server", PROD)[2] == "tp"
    home = person.home / "deployd"
    home.mkdir()
    (home / "token").write_text("own")
    assert person.means("--server", "http://127.0.0.1:7070")[2] == "own"
    assert person.means()[2] == "tp"
    # Moved to another server, a context keeps no token.
    assert "is forgotten" in person.types("context", "set", "prod", "--server", TEST)
    assert person.means() == (TEST, "production", None)


def test_a_token_is_had_from_a_file_or_a_command(person: Person):
    file = person.home / "t"
    file.write_text("from-file\n")
    person.types("context", "set", "prod", "--server", PROD, "--token-file", str(file))
    assert person.means()[2] == "from-file"
    person.types("context", "set", "prod", "--token-command", "printf '%s' from-command")
    assert person.means()[2] == "from-command"
    person.types("context", "set", "prod", "--token-command", "false")
    with pytest.raises(SettingsError, match="command that tells the token of context prod failed"):
        person.means()
    file.unlink()
    person.types("context", "set", "prod", "--token-file", str(file))
    with pytest.raises(SettingsError, match="cannot be read"):
        person.means()
    assert "several ways" in person.types(
        "context", "set", "prod", "--token-stdin", "--token-file", "x", code=2
    )


def test_show_says_who_says_so(person: Person):
    person.types("context", "set", "prod", "--server", PROD, "--token-stdin", stdin="tp")
    shown = person.json("context", "show")
    assert shown["server"] == {"value": PROD, "from": "context prod"}
    assert shown["world"] == {"value": "local", "from": "by default"}
    assert shown["token"] == {"value": None, "from": "context prod: kept in the context"}
    assert shown["context"] == {"value": "prod", "from": str(person.file)}
    person.monkeypatch.setenv("DEPLOYD_TOKEN", "te")
    shown = person.json("context", "show", "--server", TEST, "--world", "w")
    assert shown["server"] == {"value": TEST, "from": "--server"}
    assert shown["world"]["from"] == "--world"
    assert shown["token"]["from"] == "DEPLOYD_TOKEN"


@pytest.mark.parametrize(
    "content",
    ["[]", "contexts: [a]", "contexts: {a: {servr: x}}", "contexts: {a: {world: 1}}", "a: {", "unknown: 1"],
)
def test_a_file_that_is_not_right_is_one_plain_error(person: Person, content: str):
    person.file.parent.mkdir(parents=True)
    person.file.write_text(content)
    assert "is not as `deployd context set` writes it" in person.types("status", code=2)


def test_a_token_that_others_may_read_is_not_used(person: Person):
    person.types("context", "set", "prod", "--server", PROD, "--token-stdin", stdin="tp")
    person.file.chmod(0o644)
    assert f"chmod 600 {person.file}" in person.types("status", code=2)


def test_a_context_that_is_gone_can_be_left(person: Person):
    person.types("context", "set", "prod", "--server", PROD)
    person.monkeypatch.setenv("DEPLOYD_CONTEXT", "gone")
    assert "there is no context 'gone'" in person.types("status", code=2)
    assert "prod" in person.types("context", "list")


@pytest.mark.parametrize("server", ["prod", "ftp://x", "https://user:pass@host"])
def test_what_is_no_server_is_refused(person: Person, server: str):
    person.types("context", "set", "prod", "--server", server, code=2)
    assert not person.file.exists()
