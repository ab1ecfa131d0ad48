"""Every command in docs/ is run, page by page, as a reader would who begins at the top with nothing.

In a ```console block a line `$ COMMAND` is run, with what a backslash or a here-document makes part of it. It
has to end with 0, or as `# exits N` behind it says. The lines that follow have to appear in what it says, in
order; `…` stands for anything, and alone for any lines. The same goes for blocks within `<!-- -->`, which no
reader sees.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import scratch
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
PAGES = ("quickstart", "concepts", "cli", "operating", "api", "troubleshooting")
PATIENCE = 60.0
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HERE = re.compile(r"<<'(\w+)'$")
_EXITS = re.compile(r"\s+# exits (\d+)$")


@dataclass(frozen=True)
class Command:
    """One line to be typed."""

    text: str
    code: int
    shown: tuple[str, ...]


def commands(page: str) -> Iterator[Command]:
    for block in _BLOCK.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            text, *shown = part.rstrip("\n").split("\n")
            while text.endswith("\\"):
                text = f"{text}\n{shown.pop(0)}"
            if (here := _HERE.search(text)) is not None:
                end = shown.index(here[1]) + 1
                text, shown = "\n".join([text, *shown[:end]]), shown[end:]
            code = _EXITS.search(text)
            yield Command(_EXITS.sub("", text), int(code[1]) if code else 0, tuple(filter(None, shown)))


class Reader:
    """A shell in a home of its own, in a folder with the examples."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.ports = {"7070": str(free_port()), "7080": str(free_port())}
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("DEPLOYD_")}
        self.environ |= {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "DEPLOYD_HOME": str(self.home),
            "DEPLOYD_PORT": self.ports["7070"],
            "DEPLOYD_ENTRYPOINT_PORT": self.ports["7080"],
        }
        shutil.copytree(ROOT / "examples", folder / "examples")
        self.shell = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def here(self, text: str) -> str:
        """With this test's ports in place of the usual ones."""
        for usual, port in self.ports.items():
            text = re.sub(rf"(?<=:){usual}\b", port, text)
        return text

    def types(self, text: str) -> tuple[int, str]:
        """The exit code, and what was said."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        mark = f"--{time.monotonic_ns()}--"
        line = f"{{ {self.here(text)}\n}} </dev/null\nprintf '\\n{mark}%s\\n' \"$?\"\n"
        self.shell.stdin.write(line.encode())
        self.shell.stdin.flush()
        said, ending = b"", time.monotonic() + PATIENCE
        while not (found := re.search(rf"\n{mark}(\d+)\n".encode(), said)):
            assert time.monotonic() < ending, f"{text} goes on: {said.decode(errors='replace')}"
            if select.select([self.shell.stdout], [], [], 0.2)[0]:
                said += os.read(self.shell.stdout.fileno(), 65536)
        return int(found[1]), said[: found.start()].decode(errors="replace")

    def leave(self) -> None:
        """Nothing is left running."""
        try:
            self.shell.kill()
            self.shell.wait()
            assert self.shell.stdin is not None
            assert self.shell.stdout is not None
            self.shell.stdin.close()
            self.shell.stdout.close()
            subprocess.run(
                [sys.executable, "-m", "deployd.cli.main", "down"],
                env=self.environ,
                capture_output=True,
                timeout=PATIENCE,
                check=False,
            )
        finally:
            try:
                os.kill(int(json.loads((self.home / "server.json").read_text())["pid"]), signal.SIGTERM)
            except (OSError, ValueError):
                pass
            shutil.rmtree(self.folder, ignore_errors=True)


def missing(shown: tuple[str, ...], said: str) -> str | None:
    """The first line that is not there, behind those before it."""
    lines = iter(said.splitlines())
    for line in shown:
        if line.strip() == "…":
            continue
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in line.split("…")))
        if not any(pattern.search(re.sub(r"\s+", " ", one)) or pattern.search(one) for one in lines):
            return line
    return None


@pytest.fixture
def reader() -> Iterator[Reader]:
    # Not pytest's own folder: the embedded Postgres runs as another user, who has to pass through.
    folder = scratch("deployd-docs-")
    one = Reader(folder)
    try:
        yield one
    finally:
        one.leave()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_does_what_it_shows(page: str, reader: Reader):
    there = list(commands((ROOT / "docs" / f"{page}.md").read_text()))
    assert there
    for one in there:
        code, said = reader.types(one.text)
        assert code == one.code, f"$ {one.text}\n{said}"
        line = missing(tuple(map(reader.here, one.shown)), said)
        assert line is None, f"$ {one.text}\n{said}\nhas no line: {line}"


def test_the_pages_lead_to_what_is_there():
    pages = sorted((ROOT / "docs").glob("*.md"))
    assert {one.stem for one in pages} >= set(PAGES)
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} leads to {target}"
