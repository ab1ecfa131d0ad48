"""What starting a server takes: its title, command line, socket folder and log."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from deployd.errors import PostgresUnavailable
from deployd.postgres.account import Account
from deployd.postgres.cluster import Cluster

__all__ = [
    "LARGEST_LOG",
    "PORT",
    "arguments",
    "clear_socket",
    "open_log",
    "socket_folder",
    "tail",
    "title_of",
]

PORT = 5432
"""The last part of the socket's name, where nothing else is chosen."""
LONGEST_SOCKET = 100
"""Bytes; the kernel's limit is 104 on macOS and 108 on Linux."""
LARGEST_LOG = 10 * 2**20
"""Bytes, looked at when a server is started."""
SETTINGS = {
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "logging_collector": "off",
    "log_destination": "stderr",
}


def title_of(home: Path) -> str:
    """The cluster's name, by which the processes of its server are known."""
    return f"deployd-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"


def arguments(cluster: Cluster, title: str, socket: Path, settings: Mapping[str, str]) -> list[str]:
    """The server's command line. What `settings` says wins."""
    quoted = str(socket).replace('"', '""')
    given = {"cluster_name": title, "unix_socket_directories": f'"{quoted}"'}
    words = (
        word
        for name, value in (SETTINGS | given | dict(settings)).items()
        for word in ("-c", f"{name}={value}")
    )
    return [str(cluster.postgres), "-D", str(cluster.data), *words]


def clear_socket(folder: Path, port: int = PORT) -> None:
    """Take away what a killed server left of its socket; the caller knows that none runs."""
    for name in (f".s.PGSQL.{port}", f".s.PGSQL.{port}.lock"):
        (folder / name).unlink(missing_ok=True)


def socket_folder(home: Path, title: str, account: Account | None) -> Path:
    """Where the server listens: in the home, or in a short folder elsewhere if no DSN could say that.

    The kernel limits the length of a socket's name, and in a DSN a comma separates hosts. Raises
    PostgresUnavailable.
    """
    folder = home / "socket"
    if len(os.fsencode(folder / f".s.PGSQL.{PORT}.lock")) >= LONGEST_SOCKET or "," in str(folder):
        ours = None if account else os.environ.get("XDG_RUNTIME_DIR")  # root's is closed to the server
        parent = Path(ours) if ours and len(os.fsencode(ours)) < LONGEST_SOCKET // 2 else Path("/tmp")  # noqa: S108 - owner and mode are checked below
        folder = parent / title
    uid, gid = (account.uid, account.gid) if account else (os.geteuid(), os.getegid())
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.lstat()
        # In a shared folder somebody else may have been there first. Root's may be left from a crash here.
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid not in {uid, os.geteuid()}:
            raise PermissionError(f"{folder} belongs to user {seen.st_uid}")
        folder.chmod(0o700)
        os.chown(folder, uid, gid)
    except OSError as error:
        raise PostgresUnavailable(
            f"The Postgres in {home} cannot have the folder {folder} for its socket",
            remedy=f"Remove {folder} or set another DEPLOYD_HOME.",
            evidence=str(error),
        ) from error
    return folder


def open_log(path: Path) -> BinaryIO:
    """The file for what the server says, at its end. One predecessor is kept as `….1`."""
    if path.exists() and path.stat().st_size > LARGEST_LOG:
        path.replace(path.with_name(f"{path.name}.1"))
    # Its statements may contain what is nobody else's business.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def tail(path: Path, after: int, lines: int = 20) -> str:
    """The last lines behind the byte `after`."""
    with path.open("rb") as file:
        file.seek(after)
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
