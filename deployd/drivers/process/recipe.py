"""What a Dockerfile's final stage comes to as a process, and the refusals where it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from deployd.drivers.process.command import Command
from deployd.drivers.process.packages import Install

__all__ = ["Recipe"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to start the service in the tree as it lies."""

    command: Command
    cwd: Path
    env: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    """Those that it exposes, by names made from their numbers."""
    stop_signal: str = "SIGTERM"
    notes: tuple[str, ...] = ()
    installs: tuple[Install, ...] = ()
    """The packages that its program needs beside the tree."""
    where: str | None = None
    """`FILE:LINE` of the instruction that names the command; None where the manifest does."""
