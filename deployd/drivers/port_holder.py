"""Which process listens on a port, as far as this user may see it. Linux only; elsewhere nobody knows."""

from __future__ import annotations

from pathlib import Path

__all__ = ["holder"]

_LISTEN = "0A"  # the kernel's number for a socket that listens (include/net/tcp_states.h)


def holder(port: int, proc: Path = Path("/proc")) -> str | None:
    """`NAME (process PID)`, or None where that cannot be seen."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port, proc)}
    if not sockets:
        return None
    for process in sorted(proc.glob("[0-9]*")):
        try:
            if any(str(fd.readlink()) in sockets for fd in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue  # it ended, or is another user's
    return None


def _inodes(port: int, proc: Path) -> set[str]:
    """Of the sockets that listen on the port, by https://docs.kernel.org/networking/proc_net_tcp.html."""
    found: set[str] = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == _LISTEN:
                found.add(fields[9])
    return found
