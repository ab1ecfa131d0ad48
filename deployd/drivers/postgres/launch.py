"""Start a server in the background: run as a file, without the deployd package around it.

`python -I -S launch.py LOCK LOG UID GID PARENT COMMAND…`: LOCK is an inherited descriptor, which stays open
(and its lock held) until the server's program has begun. UID and GID -1: as whoever we are. PARENT is
the process that may stand in the server's pid file without being taken for a server.
"""

from __future__ import annotations

import os
import sys


def main(lock: int, log: str, uid: int, gid: int, parent: str, command: list[str]) -> int:
    """0 once it has begun; else 1, with the reason on stderr."""
    os.set_inheritable(lock, False)
    reading, writing = os.pipe()  # the system closes it when the program begins
    if os.fork():
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        sys.stderr.write(said.decode(errors="replace"))
        return 1 if said else 0
    try:
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        if uid >= 0:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        os.umask(0o077)
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "PG_GRANDPARENT_PID": parent}
        os.execve(command[0], command, environment)  # noqa: S606 - that is what this program is for
    except OSError as error:
        os.write(writing, str(error).encode())
    os._exit(1)


if __name__ == "__main__":
    sys.exit(
        main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6:])
    )
