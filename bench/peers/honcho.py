"""honcho 2: `honcho start` with a Procfile. It starts programs, passes on their output, and ends them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["command"]


def command(folder: Path, commands: Mapping[str, str]) -> list[str]:
    """How it is started in this folder; `commands` by name."""
    lines = [f"{name}: exec {one}\n" for name, one in commands.items()]
    (folder / "Procfile").write_text("".join(lines))
    return [str(Path(sys.executable).with_name("honcho")), "start"]
