"""On what was measured: the machine, and who was measured on it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

__all__ = ["describe", "missing", "outside", "spoken_version"]

GIB = 2**30


def describe(packages: Sequence[str], versions: Sequence[str] = ()) -> str:
    """Two lines; the load tells whether anybody else was at work. `versions` are added as they are."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    cores = len(os.sched_getaffinity(0))
    load = "/".join(f"{one:.2f}" for one in os.getloadavg())
    versions = [f"deployd {version('deployd')}", *(f"{one} {version(one)}" for one in packages), *versions]
    return (
        f"Machine: {_processor()}, {cores} cores, {memory:.1f} GiB, {platform.system()} "
        f"{platform.release()}; load {load} when it ended.\n"
        f"Versions: Python {platform.python_version()}, {', '.join(versions)}."
    )


def spoken_version(program: str, argument: str) -> str:
    """What a program says of its version, its name before it: `nginx 1.22.1`."""
    said = subprocess.run([program, argument], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return f"{Path(program).name} {found[0] if found else 'of unknown version'}"


def missing(programs: dict[str, str]) -> str:
    """How to install those programs that are not there, by the name of their Debian package; else empty."""
    absent = {name: package for name, package in programs.items() if shutil.which(name) is None}
    if not absent:
        return ""
    return f"{' and '.join(absent)} not found; Debian: apt-get install {' '.join(absent.values())}"


def outside() -> dict[str, str]:
    """The environment without what belongs to a virtual environment or to deployd, as services have it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DEPLOYD_")}
    own = environ.pop("VIRTUAL_ENV", None)
    path = environ.get("PATH", os.defpath).split(os.pathsep)
    environ["PATH"] = os.pathsep.join(one for one in path if own is None or not one.startswith(own))
    return environ


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
