"""Programs that have imported everything and fork for each who is wanted: importing takes longest of all.

Such a module ends with `serve`; tests have one process of it for all of them (`Nursery`). Whoever is forked
is a process of its own all the same, with connections and an event loop of its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class Nursery:
    """The process of a module; starts when the first is wanted."""

    def __init__(self, module: str) -> None:
        self.module = module
        self._process: subprocess.Popen[str] | None = None
        self._turn = threading.Lock()

    async def fork(self, **arguments: object) -> int:
        """What the module answers: the id of the process, or how it ended. Whoever asks meanwhile waits."""
        return await asyncio.to_thread(self._ask, json.dumps(arguments))

    def _ask(self, line: str) -> int:
        with self._turn:
            process = self._process = self._process or subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(line + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

    def close(self) -> None:
        with self._turn:
            if self._process is not None:
                self._process.communicate()


def serve(live: Callable[..., Coroutine[Any, Any, None]], *, waits: bool) -> None:
    """Fork for each line of JSON, which has the arguments of `live`, until there are no more.

    Answers with the exit status once it has ended (negative: the signal), or at once with the process id.
    """
    if not waits:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who is killed leaves no zombie that looks alive
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all that was imported
    for line in sys.stdin:
        arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                asyncio.run(live(**arguments))
            except BaseException:
                sys.stderr.write(f"{arguments}:\n")
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if waits else child, flush=True)
