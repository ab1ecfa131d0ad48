"""completion: what makes a shell complete deployd's verbs, options and names."""

from __future__ import annotations

import argparse

from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.session import console_of
from deployd.cli.shells import SHELLS

__all__ = ["completion"]


def completion(options: Options, arguments: argparse.Namespace) -> int:
    """Print the script for the shell."""
    console, script = console_of(options), SHELLS[arguments.shell]()
    if console.json:
        console.document({"shell": arguments.shell, "script": script})
    else:
        console.say(script.rstrip("\n"))
    return ExitCode.DONE
