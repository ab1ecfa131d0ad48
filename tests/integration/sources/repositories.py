"""Real git repositories to fetch from, and programs that stand for ssh."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Repository:
    """A repository with a working directory, whose commits tests make."""

    path: Path

    def git(self, *arguments: str, feed: str | None = None) -> str:
        settings = (
            "user.name=a",
            "user.email=a@example.com",
            "commit.gpgsign=false",
            "protocol.file.allow=always",
        )
        options = [word for one in settings for word in ("-c", one)]
        ended = subprocess.run(
            ["git", "-C", str(self.path), *options, *arguments],
            check=True,
            capture_output=True,
            text=True,
            input=feed,
        )
        return ended.stdout.strip()

    def commit(self, **files: str) -> str:
        """Write these files and commit everything; the commit's id."""
        for name, text in files.items():
            (self.path / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")


def repository(path: Path) -> Repository:
    """A new one, empty, on the branch `main`."""
    path.mkdir(parents=True)
    made = Repository(path)
    made.git("init", "-q", "-b", "main")
    return made


def program(path: Path, body: str) -> Path:
    """A shell script. As ssh its last argument is the command for the other side."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path
