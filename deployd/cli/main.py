"""The program `deployd`: which verb, and what becomes of its errors.

Nothing heavy is imported here, so that `--help` and a wrong argument are answered at once.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from deployd.cli.arguments import parser
from deployd.cli.exits import ExitCode, exit_code_of
from deployd.errors import DeploydError

if TYPE_CHECKING:
    import argparse

__all__ = ["main"]

_PIPE_CLOSED = 141
"""What a shell shows for a program that SIGPIPE ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr] # a locale without ✔ is no reason to fail
    given = sys.argv[1:] if argv is None else list(argv)
    if given[:1] == ["__complete"]:  # what shells ask; nobody types it
        from deployd.cli.completing import complete

        return complete(given[1:])
    arguments = parser().parse_args(given)
    try:
        return int(_run(arguments))
    except DeploydError as error:
        _show(error, arguments)
        return exit_code_of(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough; Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED


def _run(arguments: argparse.Namespace) -> int:
    from importlib import import_module

    from deployd.cli.options import Options

    module, _, function = arguments.run.partition(":")
    options = Options.of(arguments)
    result = getattr(import_module(module), function)(options, arguments)
    if not inspect.iscoroutine(result):
        return int(result)
    import asyncio

    return asyncio.run(_interruptible(result))


async def _interruptible(verb: Coroutine[Any, Any, int]) -> int:
    from deployd.cli.interrupts import Interrupted, Interrupts

    with Interrupts() as interrupts:
        try:
            return await interrupts.guard(verb)
        except Interrupted:
            return ExitCode.INTERRUPTED


def _show(error: DeploydError, arguments: argparse.Namespace) -> None:
    from deployd.cli.terminal import Console, error_block

    console = Console(json=arguments.json, color=False if arguments.no_color else None)
    if arguments.json:
        console.complain_json(error.code, error.message, error.evidence, error.remedy)
    else:
        console.complain(error_block(error.message, error.evidence, error.remedy))


if __name__ == "__main__":
    sys.exit(main())
