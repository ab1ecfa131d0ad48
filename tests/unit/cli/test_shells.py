"""The scripts in real shells: what each would offer for a line that is being typed."""

from __future__ import annotations

import os
import pty
import select
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest

from deployd.cli.commands import commands
from deployd.cli.shells import SHELLS

ASKED = """#!/bin/sh
# A program `deployd` that answers as the hidden verb does, and says what it was asked.
echo "$@" >> "$ASKED"
case "$2" in services) echo cart; echo catalog ;; worlds) echo local ;; resources) echo cart/db ;; esac
"""
LINES = [
    ("deployd his", {"history"}, None),
    ("deployd world cr", {"create"}, None),
    ("deployd context --world local u", {"use"}, None),
    ("deployd status ca", {"cart", "catalog"}, "__complete services"),
    ("deployd logs --world x -f ca", {"cart", "catalog"}, "__complete services --world x"),
    ("deployd status --world lo", {"local"}, "__complete worlds"),
    ("deployd resource delete ca", {"cart/db"}, "__complete resources"),
    ("deployd completion f", {"fish"}, None),
    ("deployd wait cart --for sus", {"suspended"}, None),
    ("deployd logs --fol", {"--follow"}, None),
]


class Shell:
    """A real one, with the script and a program of this name on PATH."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        program = folder / "deployd"
        program.write_text(ASKED)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        (folder / "script").write_text(SHELLS[name]())
        self.environ = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "HOME": str(folder),
            "ASKED": str(folder / "asked"),
            "TERM": "dumb",
        }

    def offers(self, line: str) -> tuple[set[str], str]:
        """What it completes the line to, and what it asked for that."""
        asked = self.folder / "asked"
        asked.write_text("")
        words = line.split(" ")
        texts = {
            "bash": f"source ./script; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _deployd;"
            " printf '%s\\n' \"${COMPREPLY[@]}\"",
            # compadd works in a widget only: here it says what the prefix leaves of what it is given.
            "zsh": "compdef() { }; _files() { }; compadd() { shift; local one; for one; do"
            f' [[ $one == "${{words[CURRENT]}}"* ]] && print -r -- $one; done; return 0 }};'
            f" source ./script; words=({line}); CURRENT={len(words)}; _deployd",
            "fish": f"source ./script; complete -C '{line}'",
        }
        flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[self.name]
        ended = subprocess.run(
            [self.name, *flags, "-c", texts[self.name]],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ended.stderr == ""
        found = {one.partition("\t")[0] for one in ended.stdout.splitlines()} - {""}
        return found, asked.read_text().strip()


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_line_is_completed(name: str, tmp_path: Path):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    shell = Shell(name, tmp_path)
    for line, expected, question in LINES:
        found, asked = shell.offers(line)
        assert found == expected, line
        assert asked == (question or ""), line


def test_tab_completes_in_a_terminal(tmp_path: Path):
    shell = Shell("bash", tmp_path)
    (tmp_path / "rc").write_text("source ./script\nPS1='ready> '\nbind 'set enable-bracketed-paste off'\n")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvpe("bash", ["bash", "--rcfile", "rc", "--noprofile", "-i"], shell.environ)
    try:
        _hears(terminal, "ready> ")
        os.write(terminal, b"deployd hist\tcar\t")
        _hears(terminal, "deployd history cart ")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


def _hears(terminal: int, text: str) -> None:
    heard, ending = "", time.monotonic() + 20
    while text not in heard:
        assert time.monotonic() < ending, heard
        if select.select([terminal], [], [], 0.1)[0]:
            heard += os.read(terminal, 4096).decode(errors="replace")


def test_the_scripts_know_every_verb():
    for script in (write() for write in SHELLS.values()):
        for one in commands():
            assert all(f" {verb} " in script or f"{verb}'" in script for verb in one.path), one.name
