"""watchfiles 1: `watchfiles 'python3 server.py' .`, as its documentation has it.

It restarts the program in place: it waits until the files rest, interrupts the program, and starts it anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["command"]


def command(program: str) -> list[str]:
    """How it is started in the folder that it shall watch."""
    return [str(Path(sys.executable).with_name("watchfiles")), program, "."]
