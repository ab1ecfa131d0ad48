import json
import subprocess
import sys

import pytest

from deployd.cli.arguments import parser
from deployd.cli.exits import ExitCode, ServerUnreachable, exit_code_of
from deployd.cli.main import main
from deployd.errors import DeploydError, Forbidden, NotFound, SettingsError, StoreError, Unauthenticated

VERBS = {
    "up", "down", "serve", "deploy", "status", "history", "logs", "cancel", "retry", "approve",
    "rollback", "suspend", "resume", "retire", "version", "push", "secret", "run", "world", "resource",
    "hold", "service",
}  # fmt: skip


def test_help_imports_nothing_heavy():
    """Measured it is 60 ms; what would make it slow is an import."""
    code = (
        "import sys, deployd.cli.main as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = 'aiohttp asyncio asyncpg graphql msgspec strawberry transitions yaml'\n"
        "them = set(heavy.split())\n"
        "sys.exit(', '.join(sorted(them & set(sys.modules))) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert all(f"    {verb} " in ended.stdout for verb in VERBS)
    assert "  130  interrupted" in ended.stdout


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_each_verb_has_help_and_something_to_run(verb: str, capsys: pytest.CaptureFixture[str]):
    from importlib import import_module

    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert "--world NAME" in capsys.readouterr().out
    needed = ["x"] if verb not in ("up", "down", "serve", "deploy", "status", "version") else []
    needed = {"secret": ["set", "x"], "world": ["list"], "resource": ["list"], "service": ["list"]}.get(
        verb, needed
    )
    module, _, function = parser().parse_args([verb, *needed]).run.partition(":")
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["dance"],
        ["status", "a", "b"],
        ["rollback", "a", "--to", "first"],
        ["logs", "a", "-n", "0"],
        ["history"],
        ["up", "--detac"],
    ],
)
def test_wrong_arguments_are_usage(argv: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == ExitCode.USAGE
    assert "usage: deployd" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServerUnreachable(), ExitCode.UNREACHABLE),
        (Unauthenticated(), ExitCode.REFUSED),
        (Forbidden(), ExitCode.REFUSED),
        (NotFound(), ExitCode.USAGE),
        (SettingsError(), ExitCode.USAGE),
        (StoreError(), ExitCode.FAILED),
        (DeploydError(), ExitCode.FAILED),
    ],
)
def test_exit_codes(error: DeploydError, code: ExitCode):
    assert exit_code_of(error) == code


def test_an_unreachable_server_is_one_plain_block(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DEPLOYD_SERVER", "http://127.0.0.1:9")
    assert main(["status"]) == ExitCode.UNREACHABLE
    said = capsys.readouterr()
    first, *evidence, last = said.err.splitlines()
    assert first == "the server at http://127.0.0.1:9 does not answer"
    assert evidence
    assert all(line.startswith("    ") for line in evidence)
    assert last.startswith("what to do: Start one")
    assert said.out == ""


def test_the_same_for_programs(capsys: pytest.CaptureFixture[str]):
    assert main(["status", "--json", "--server", "http://127.0.0.1:9"]) == ExitCode.UNREACHABLE
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["code"] == "SERVER_UNREACHABLE"
    assert set(error) == {"code", "message", "evidence", "remedy"}


@pytest.mark.parametrize(
    ("argv", "environ", "what"),
    [
        (["status", "--server", "127.0.0.1:7070"], {}, "is no URL"),
        (["status"], {"DEPLOYD_PORT": "many"}, "DEPLOYD_PORT"),
        (["up", "/does/not/exist"], {}, "/does/not/exist is not there"),
        (["deploy", "/etc/passwd"], {}, "/etc/passwd is no folder"),
    ],
)
def test_wrong_settings_and_paths_are_usage(
    argv: list[str],
    environ: dict[str, str],
    what: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main(argv) == ExitCode.USAGE
    assert what in capsys.readouterr().err
