import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployd.cli.arguments import parser
from deployd.cli.local import LocalServer
from deployd.cli.options import Options
from deployd.settings import Settings


@pytest.fixture
def pretender() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose command line is a server's."""
    code = "import time; print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, "deployd.app"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # until then its command line may be empty
        yield process
        process.kill()


def announce(home: Path, pid: int, url: str = "http://127.0.0.1:4711") -> None:
    (home / "server.json").write_text(json.dumps({"pid": pid, "url": url, "started_at": "now"}))


def test_a_server_is_where_it_says(tmp_path: Path, pretender: subprocess.Popen[bytes]):
    local = LocalServer(Settings(tmp_path))
    assert local.running() is None
    assert local.url() == "http://127.0.0.1:7070"
    announce(tmp_path, pretender.pid)
    running = local.running()
    assert running is not None
    assert running.pid == pretender.pid
    assert local.url() == "http://127.0.0.1:4711"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"pid": "x", "url": 1}', '{"pid": null}'])
def test_what_a_crash_left_is_no_server(tmp_path: Path, content: str):
    (tmp_path / "server.json").write_text(content)
    assert LocalServer(Settings(tmp_path)).running() is None


async def test_another_process_of_that_number_is_no_server_and_not_stopped(tmp_path: Path):
    announce(tmp_path, os.getpid())
    local = LocalServer(Settings(tmp_path))
    assert local.running() is None
    assert await local.stop() is False


async def test_stopping_waits_for_the_end(tmp_path: Path, pretender: subprocess.Popen[bytes]):
    announce(tmp_path, pretender.pid)
    assert await LocalServer(Settings(tmp_path)).stop() is True
    assert pretender.wait(5) == -15


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:7070"),
        ("::", "http://127.0.0.1:7070"),
        ("::1", "http://[::1]:7070"),
        ("10.0.0.1", "http://10.0.0.1:7070"),
    ],
)
def test_the_address_can_be_connected_to(tmp_path: Path, host: str, url: str):
    assert LocalServer(Settings(tmp_path, host=host)).url() == url


def options(tmp_path: Path, *argv: str, **environ: str) -> Options:
    return Options.of(parser().parse_args(["status", *argv]), {"DEPLOYD_HOME": str(tmp_path), **environ})


def test_the_token_file_is_for_the_server_of_this_host_alone(tmp_path: Path):
    (tmp_path / "token").write_text("of-this-host\n")
    assert options(tmp_path).address() == ("http://127.0.0.1:7070", "of-this-host")
    same = options(tmp_path, "--server", "http://127.0.0.1:7070/")
    assert same.address() == ("http://127.0.0.1:7070", "of-this-host")
    other = options(tmp_path, DEPLOYD_SERVER="https://deployd.example.com")
    assert other.address() == ("https://deployd.example.com", None)
    given = options(tmp_path, DEPLOYD_TOKEN="given", DEPLOYD_SERVER="https://deployd.example.com")
    assert given.address() == ("https://deployd.example.com", "given")


def test_the_command_line_comes_before_the_environment(tmp_path: Path):
    assert options(tmp_path).world == "local"
    assert options(tmp_path, DEPLOYD_WORLD="staging").world == "staging"
    assert options(tmp_path, "--world", "production", DEPLOYD_WORLD="staging").world == "production"
    assert options(tmp_path, NO_COLOR="1").no_color
    assert not options(tmp_path, NO_COLOR="").no_color
