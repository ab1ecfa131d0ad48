"""How `deployd secret` takes values: by pipe, file and prompt, and never as an argument."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from deployd.cli.arguments import parser
from deployd.cli.exits import ExitCode
from deployd.cli.main import main
from deployd.cli.secrets import _value
from deployd.errors import InputError

CANARY = "canary-77aa"


class Piped:
    """A standard input that is no terminal."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"plain", "plain"),
        (b"one\n", "one"),
        (b"one\r\n", "one"),
        (b"two\n\n", "two\n"),
        ("ü\n".encode(), "ü"),
        (b"x" * 65_536 + b"\r\n", "x" * 65_536),
    ],
    ids=["plain", "newline", "crlf", "two", "utf8", "most"],
)
def test_what_is_piped_in_loses_one_newline(
    content: bytes, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Piped(content))
    assert _value("payment", None) == value


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(b"-----BEGIN\nabc\n")
    assert _value("payment", str(file)) == "-----BEGIN\nabc\n"
    file.write_bytes(b"x" * 65_537)
    with pytest.raises(InputError, match="longer than 65536"):
        _value("payment", str(file))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        _value("payment", str(file))
    with pytest.raises(InputError, match="cannot be read"):
        _value("payment", str(tmp_path / "missing"))


@pytest.mark.parametrize(
    "argv",
    [["payment", CANARY], [f"payment={CANARY}"], ["payment", "=", CANARY], ["payment", CANARY, "and more"]],
)
def test_a_value_as_an_argument_is_refused_and_not_repeated(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["secret", "set", *argv]) == ExitCode.USAGE
    said = capsys.readouterr()
    assert "is no argument" in said.err
    assert "--file PATH" in said.err
    assert CANARY not in said.err + said.out


def test_common_options_hold_before_and_after_the_action() -> None:
    for argv in (["secret", "--world", "w", "--json", "list"], ["secret", "list", "--world", "w", "--json"]):
        parsed = parser().parse_args(argv)
        assert (parsed.world, parsed.json, parsed.server) == ("w", True, None)


def test_an_action_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["secret"])
    assert ended.value.code == ExitCode.USAGE
    assert "VERB" in capsys.readouterr().err
