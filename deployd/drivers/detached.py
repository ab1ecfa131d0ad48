"""Programs of the standard library alone that drivers start, and that outlive deployd and its environment.

Such a program goes into the background by itself once it has begun; until then it says on stderr what is
wrong. Whoever started it finds it again by the files that it keeps.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployd.errors import Retryable

__all__ = ["LONGEST_PATH", "short_path", "start_detached"]

LONGEST_PATH = 100
"""Bytes: a socket's path has 104 on macOS and 108 on Linux."""


def start_detached(
    program: Path,
    *arguments: str,
    name: str,
    patience: float,
    handed: bytes = b"",
    pass_fds: tuple[int, ...] = (),
) -> tuple[int, str]:
    """Its exit status when it is in the background or has given up, and what it said on stderr.

    `name` is what an error calls it, `patience` how many seconds it may take; `handed` is what it can read
    on stdin, `pass_fds` what it inherits under the same numbers. Raises Retryable.
    """
    passed = {key: os.environ[key] for key in ("LD_LIBRARY_PATH",) if key in os.environ}
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(program), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", **passed},
        start_new_session=True,
        pass_fds=pass_fds,
    ) as starting:
        try:
            _, said = starting.communicate(handed, timeout=patience)
        except subprocess.TimeoutExpired as error:
            starting.kill()
            raise Retryable(f"{name} did not start within {patience:g} s") from error
    return starting.returncode, said.decode(errors="replace").strip()


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A path of this socket that the kernel takes: one through a symbolic link, where its own is too long."""
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield str(path)
        return
    with tempfile.TemporaryDirectory() as short:
        link = Path(short) / "h"
        link.symlink_to(path.parent)
        yield str(link / path.name)
