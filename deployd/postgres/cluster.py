"""The home of a server: its data directory, complete or not there, and what else lies beside it.

HOME/lock           who uses this home
HOME/password       of the database user `deployd`
HOME/data           the data directory; there only when complete
HOME/socket         where it listens
HOME/engine-…       the engine, where the installed one is out of its user's reach
HOME/postgres.log   what it says
HOME/part-…         half-made things; whatever a crash left of them goes at the next start
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deployd.errors import PostgresUnavailable
from deployd.postgres.account import ENVIRONMENT, Account, as_child
from deployd.postgres.engine import MAJOR, closed_folder, find_engine

__all__ = ["LOG", "USER", "Cluster", "make_home", "prepare"]

USER = "deployd"
"""The superuser of the server, who is deployd."""
LOG = "postgres.log"
INITDB_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A complete data directory, and what it takes to serve it."""

    postgres: Path
    data: Path
    password: str
    account: Account | None
    """Whom the server runs as; None: as whoever we are."""


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
            f"The folder {home} for Postgres cannot be made",
            remedy="Let DEPLOYD_HOME be a folder of your own.",
            evidence=str(error),
        ) from error


def prepare(home: Path, account: Account | None) -> Cluster:
    """Make complete whatever is missing in `home`, of which the caller holds the lock.

    Blocks for half a second the first time. Raises PostgresUnavailable.
    """
    if account is not None and (closed := closed_folder(home)):
        raise PostgresUnavailable(
            f"Postgres runs as user {account.uid}, who cannot pass through {closed} to {home}",
            remedy=f"Run `chmod o+x {closed}`, or choose another DEPLOYD_HOME.",
        )
    try:
        for part in home.glob("part-*"):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)  # a killed initdb may have died only just now
            else:
                part.unlink()
        engine = find_engine(home, account)
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
            f"Postgres cannot be set up in {home}",
            remedy="Put right what it stumbled over.",
            evidence=str(error),
        ) from error


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
            remedy="Put right what it stumbled over.",
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
