"""The command line with everything imported that its verbs import: it forks for each one that is run.

To import it takes several times as long as most verbs do, and the tests run hundreds. What runs is a process
of its own all the same, with arguments, environment, streams and exit code of its own. What stays, and what
is about starting, is run as people run it (`Host.start`).

It reads runs as JSON lines from its standard input, and answers each with its exit code.
"""

from __future__ import annotations

import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class CommandLine:
    """One for each worker of the tests; several runs at once have a process each."""

    def __init__(self) -> None:
        self._idle: list[subprocess.Popen[str]] = []

    def run(
        self, argv: Sequence[str], environ: Mapping[str, str], seconds: float, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """As subprocess.run does. Raises subprocess.TimeoutExpired."""
        with tempfile.TemporaryDirectory() as folder:
            asked, out, err = (Path(folder, name) for name in ("stdin", "stdout", "stderr"))
            asked.write_text(stdin)
            run = {
                "argv": argv,
                "environ": dict(environ),
                "cwd": str(Path.cwd()),
                "streams": [str(asked), str(out), str(err)],
            }
            process = self._idle.pop() if self._idle else self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(run) + "\n")
            process.stdin.flush()
            if not select.select([process.stdout], [], [], seconds)[0]:
                _end(process)
                said = out.read_text(), err.read_text()
                raise subprocess.TimeoutExpired(["deployd", *argv], seconds, *said)
            code = int(process.stdout.readline())
            self._idle.append(process)
            return subprocess.CompletedProcess(argv, code, out.read_text(), err.read_text())

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.warm"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def close(self) -> None:
        """End what is idle."""
        while self._idle:
            _end(self._idle.pop())


COMMAND_LINE = CommandLine()


def _end(process: subprocess.Popen[str]) -> None:
    """With what it runs."""
    with process:
        os.killpg(process.pid, signal.SIGKILL)


def _child(run: Mapping[str, Any]) -> int:
    from deployd.cli.main import main

    os.environ.clear()
    os.environ.update(run["environ"])
    os.chdir(run["cwd"])
    for number, path in enumerate(run["streams"]):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    try:
        return main(run["argv"])
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1


def _serve() -> None:
    import deployd.cli

    for one in pkgutil.iter_modules(deployd.cli.__path__):
        import_module(f"deployd.cli.{one.name}")
    import_module("aiohttp")
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = _child(json.loads(line))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
