"""Which of a server's processes is its first one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deployd.postgres.leftover import Processes, find_processes

FORKS = """
import os, sys
child = os.fork()
if child:
    print(child, flush=True)
sys.stdin.read()
"""


def test_a_child_that_has_no_title_yet_is_not_taken_for_the_server(tmp_path: Path) -> None:
    """It has its parent's command line, as one has that was forked just now."""
    command = [sys.executable, "-c", FORKS, "postgres", "-D", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        child = int(server.stdout.readline())
        assert find_processes(tmp_path, "title", os.geteuid()) == Processes(server.pid, (child,))
        server.communicate("")
    assert find_processes(tmp_path, "title", os.geteuid()) == Processes(None, ())
