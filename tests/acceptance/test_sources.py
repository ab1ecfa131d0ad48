"""What is deployed from elsewhere than a folder on the server: git, and what is pushed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.acceptance.test_cli import HELLO, Host, get, host, project

__all__ = ["host"]


def commit(folder: Path, *more: str) -> str:
    """Everything in the folder, in a repository of its own; the commit's id."""
    run = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run([*run, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*run, "add", "--all"], check=True)
    subprocess.run([*run, "commit", "-q", "-m", "x", *more], check=True)
    return subprocess.run(
        [*run, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_deploying_from_git(host: Host):
    folder = project(host, "project")
    first = commit(folder)
    docker = (HELLO / "Dockerfile").read_text().replace("Hello from deployd!", "Second")
    project(host, "project", Dockerfile=docker)
    commit(folder)
    host.run("up", str(HELLO), "-d")
    host.run("deploy", "--git", str(folder))
    assert get(host.json("status", "hello")["address"]) == "Second\n"
    host.run("deploy", "--git", f"file://{folder}", "--ref", first)
    assert get(host.json("status", "hello")["address"]) == "Hello from deployd!\n"
    said = host.run("deploy", "--git", str(folder), "--ref", "mian", code=1)
    assert "Did you mean 'main'?" in said
    said = host.run("deploy", "--git", "https://ada:hunter2@git.example.com/shop", code=2)
    assert "git-credentials" in said
    assert "hunter2" not in said
    assert "either PATH or --git" in host.run("deploy", str(folder), "--git", str(folder), code=2)
    assert "--ref is for --git only" in host.run("deploy", str(folder), "--ref", "main", code=2)


def test_pushing(host: Host):
    host.run("up", str(HELLO), "-d")
    docker = (HELLO / "Dockerfile").read_text().replace("Hello from deployd!", "Pushed")
    folder = project(host, "project", Dockerfile=docker, _gitignore="secret\n")
    (folder / "secret").write_text("x")
    assert "hello answers at" in host.run("push", str(folder))
    assert get(host.json("status", "hello")["address"]) == "Pushed\n"
    trees = list((host.home / "sources" / "trees").glob("*/.gitignore"))
    assert [(one.parent / "secret").exists() for one in trees] == [False]
    lines = [json.loads(line) for line in host.run("push", str(folder), "--json", "--no-wait").splitlines()]
    assert [sorted(one) for one in lines[:1]] == [["bytes", "event", "id"]]
    (folder / "bad").symlink_to("/etc/passwd")
    said = host.run("push", str(folder), code=2)
    assert "The link bad in" in said
    assert "no world 'none'" in host.run("push", str(folder), "--world", "none", code=2)
