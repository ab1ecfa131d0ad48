"""supervisor 4: `supervisord` in the foreground. It starts programs, restarts and ends them.

`startsecs = 0` has it call a program running as soon as it is started; nothing here depends on that,
since the programs themselves say when they listen. No control socket, and no logs of the programs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["command"]

OWN = """\
[supervisord]
nodaemon = true
silent = true
logfile = /dev/null
logfile_maxbytes = 0
pidfile = {folder}/supervisord.pid
"""
PROGRAM = """
[program:{name}]
command = {command}
directory = {folder}
startsecs = 0
stdout_logfile = NONE
stderr_logfile = NONE
"""


def command(folder: Path, commands: Mapping[str, str]) -> list[str]:
    """How it is started in this folder; `commands` by name."""
    programs = [PROGRAM.format(name=name, command=one, folder=folder) for name, one in commands.items()]
    (folder / "supervisord.conf").write_text(OWN.format(folder=folder) + "".join(programs))
    return [
        str(Path(sys.executable).with_name("supervisord")),
        "--configuration",
        str(folder / "supervisord.conf"),
    ]
