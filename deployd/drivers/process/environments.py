"""Virtual environments of packages: one for each digest of what is installed, shared by whoever needs it.

HOME/environments/DIGEST/venv/     the environment; its paths are in its scripts, so it never moves
HOME/environments/DIGEST/build/    the task that makes it (client.py), as a user of its own
HOME/environments/DIGEST/whole     it is done: nothing uses it before, nobody but deployd's user writes
                                   it after; when it was last asked for
HOME/environments/pip-VERSION/     deployd's own pip, where every user can read it
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

from deployd.drivers.api import Done, Failed, ServiceRef, Wait
from deployd.drivers.process.client import Client, Instance
from deployd.drivers.process.instance import Start, read_start
from deployd.drivers.process.packages import Install, describe
from deployd.drivers.process.shim.files import write_whole
from deployd.drivers.process.tasks import judge_task
from deployd.errors import Terminal

__all__ = ["Environment", "Environments", "digest_of", "interpreter"]

TIMEOUT = 3000.0
"""Seconds that an installation may take: less than a deployment may build."""
KEPT = 3
"""Environments that nobody uses and that stay nevertheless, the last used ones."""
GONE = ".gone-"
AGAIN = 60.0
"""Seconds after which an installation that failed is tried again for the same release."""
FRESH = 3600.0
"""Seconds since it was asked for within which an environment is never removed."""
INHERITED = frozenset(
    f"{name}"
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    for name in (upper, upper.lower())
) | {
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT", "PIP_CLIENT_CERT"),
    *("PIP_PROXY", "PIP_RETRIES", "PIP_TIMEOUT", "PIP_CONFIG_FILE"),
}
"""What the operator says of this machine's way to its packages."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment, made or not."""

    folder: Path
    python: str
    """The interpreter that it is made with."""
    installs: tuple[Install, ...]

    @property
    def venv(self) -> Path:
        """What VIRTUAL_ENV names."""
        return self.folder / "venv"

    @property
    def is_whole(self) -> bool:
        """Whether it can be used."""
        return (self.folder / "whole").exists()


def interpreter(path: str) -> str | None:
    """The machine's Python, as a service finds it on its PATH."""
    return shutil.which("python3", path=path)


def digest_of(python: str, installs: Iterable[Install]) -> str:
    """Of the interpreter, the arguments, and the contents of what these name. Raises Misplaced."""
    file = Path(python).resolve()
    hashed = hashlib.sha256(_version(file, file.stat().st_mtime_ns).encode())
    for install in installs:
        hashed.update(install.digest())
    return hashed.hexdigest()[:32]


@cache
def _version(python: Path, changed: int) -> str:
    """What this file says of itself; `changed` is its time of modification."""
    said = subprocess.run(
        [str(python), "-I", "-S", "-c", "import sys; print(sys.executable, sys.version)"],
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout


class Environments:
    """Everything here blocks for a short time: call it in a thread."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.folder = client.home / "environments"

    def builder(self, environment: Environment) -> Instance | None:
        """The task that makes it, where it was ever begun."""
        return self.client.instance(environment.folder / "build", _id(environment.folder))

    def logs(self, service: ServiceRef) -> list[Instance]:
        """The tasks that were begun for this service."""
        there = [one for one in self.folder.iterdir() if _is_one(one)] if self.folder.is_dir() else []
        found = (self.client.instance(one / "build", _id(one)) for one in there)
        return [one for one in found if one is not None and one.start.service_id == str(service.service_id)]

    def ensure(self, environment: Environment, start: Start, host: Mapping[str, str]) -> Wait | Failed | None:
        """Have it made; None once it is. `start` says for whom; `host` is this machine's environment."""
        builder = self.builder(environment)
        if builder is None or not builder.alive:
            builder = self._build(environment, start, host)
        progress, what = judge_task(builder), describe(environment.installs)
        if isinstance(progress, Done):
            self._complete(environment)
            self.prune()
            return None
        if isinstance(progress, Wait):
            return Wait(progress.seconds, f"{start.service}: packages of {what} are being installed")
        reason = progress.reason
        summary = f"{start.service}: packages of {what} could not be installed: {reason.summary}"
        remedy = "Read pip's last lines; correct what is asked for, or this machine's way to its packages."
        return Failed(replace(reason, code="PACKAGES_NOT_INSTALLED", summary=summary, remedy=remedy))

    def _build(self, environment: Environment, start: Start, host: Mapping[str, str]) -> Instance:
        folder = environment.folder
        self.client.prepare_folders(folder)
        pip = self._pip()
        user = self.client.user_of(ServiceRef(start.world_id, "", _id(folder), "packages"))
        for own in (environment.venv, folder / "home"):
            own.mkdir(mode=0o755, exist_ok=True)
            if user is not None:
                os.chown(own, user, user)
        passed = {name: value for name, value in host.items() if name in INHERITED}
        script = _script(environment, pip)
        made = Start(
            world_id=start.world_id,
            service_id=start.service_id,
            service=start.service,
            number=start.number,
            argv=("/bin/sh", "-e", "-c", script),
            text="; ".join(
                shlex.join(["pip", "install", *map(str, one.words)]) for one in environment.installs
            ),
            cwd=str(folder / "home"),
            env={"PATH": start.env["PATH"], "HOME": str(folder / "home"), "LC_ALL": "C.UTF-8", **passed},
            uid=user,
            open_files=start.open_files,
            grace_seconds=start.grace_seconds,
            task="packages",
            timeout=TIMEOUT,
        )
        return self.client.run_once(folder / "build", _id(folder), made, lambda one: _again(one, start))

    def _complete(self, environment: Environment) -> None:
        """It was made: from here on it is deployd's, and whole, after a power cut too."""
        if os.geteuid() == 0:
            _take_over(environment.venv)
        shutil.rmtree(environment.folder / "home", ignore_errors=True)
        os.sync()
        write_whole(environment.folder / "whole", "", durable=True)

    def note_use(self, environment: Environment) -> None:
        """Remember that it was asked for now."""
        os.utime(environment.folder / "whole")

    def prune(self, *, dry_run: bool = False) -> int:
        """Let those go that no instance has and that were not used last, and failed ones; how many."""
        if not self.folder.is_dir():
            return 0
        starts = (read_start(one.parent) for one in self.client.home.glob("*/*/*/spec.json"))
        used = {one.environment for one in starts if one is not None}
        spare: list[tuple[float, Path]] = []
        for folder in self.folder.iterdir():
            if folder.name.startswith(GONE):
                shutil.rmtree(folder, ignore_errors=True)
            if not _is_one(folder) or str(folder / "venv") in used:
                continue
            builder = self.client.instance(folder / "build", _id(folder))
            whole = folder / "whole"
            try:
                asked = (whole if whole.exists() else folder).stat().st_mtime
            except FileNotFoundError:
                continue  # another one removes it
            if not (builder and builder.alive) and time.time() - asked > FRESH:
                spare.append((asked if whole.exists() else 0.0, folder))
        spare.sort(reverse=True)
        over = [folder for number, (asked, folder) in enumerate(spare) if number >= KEPT or not asked]
        for folder in () if dry_run else over:
            gone = folder.with_name(f"{GONE}{folder.name}.{time.monotonic_ns()}")
            try:
                folder.rename(gone)  # at once: nobody may find half of it
            except FileNotFoundError:
                continue  # another one was quicker
            shutil.rmtree(gone, ignore_errors=True)
        return len(over)

    def _pip(self) -> Path:
        """A copy of deployd's own pip that other users can read. Raises Terminal where it has none."""
        found = find_spec("pip")
        if found is None or found.origin is None:
            raise Terminal(
                "packages cannot be installed: deployd's Python has no pip",
                remedy="Install it where deployd is installed: `python -m ensurepip`.",
            )
        from importlib.metadata import version

        folder = self.folder / f"pip-{version('pip')}"
        if not folder.exists():
            draft = self.folder / f".pip.{os.getpid()}.{time.monotonic_ns()}"
            shutil.copytree(
                Path(found.origin).parent, draft / "pip", ignore=shutil.ignore_patterns("__pycache__")
            )
            for one in (draft, *draft.rglob("*")):
                one.chmod(0o755 if one.is_dir() else 0o644)
            try:
                draft.rename(folder)
            except OSError:  # another one was quicker
                shutil.rmtree(draft)
        return folder / "pip" / "__pip-runner__.py"


def _again(former: Instance, start: Start) -> bool:
    """Whether an installation that failed is tried again: for another release, or a while later."""
    if isinstance(judge_task(former), Done):
        return False
    same = (former.start.service_id, former.start.number) == (start.service_id, start.number)
    return not same or time.time() - (former.folder / "status.json").stat().st_mtime > AGAIN


def _is_one(folder: Path) -> bool:
    """Whether it is named by a digest: not pip, not one that is being removed."""
    return len(folder.name) == 32 and "-" not in folder.name


def _id(folder: Path) -> UUID:
    """The digest as an id: of its task, and of its user."""
    return UUID(folder.name)


def _script(environment: Environment, pip: Path) -> str:
    """Without ensurepip, which distributions leave out: pip comes from outside of the environment."""
    venv, inner = str(environment.venv), str(environment.venv / "bin" / "python")
    lines = [[environment.python, "-I", "-m", "venv", "--without-pip", "--clear", venv]]
    for install in environment.installs:
        words = [str(word) for word in install.words]
        quiet = ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off"]
        lines.append([inner, "-I", str(pip), "install", *quiet, *words])
    return "\n".join(map(shlex.join, lines))


def _take_over(folder: Path) -> None:
    """The user who ran foreign code while making it keeps no hand in it."""
    os.chown(folder, 0, 0)
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where) / name
            os.chown(path, 0, 0, follow_symlinks=False)
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) & 0o755)
