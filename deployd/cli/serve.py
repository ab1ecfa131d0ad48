"""serve: the server itself, in the foreground."""

from __future__ import annotations

import argparse
import os
import sys

from deployd.cli.options import Options
from deployd.cli.starting import MODULE
from deployd.settings import OWN

__all__ = ["serve"]


def serve(options: Options, arguments: argparse.Namespace) -> int:
    """Become the server: it gets this process, its signals and its exit code."""
    if options.json and "LOG_FORMAT" in OWN:
        os.environ.setdefault("DEPLOYD_LOG_FORMAT", "json")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", MODULE])  # noqa: S606 - no shell by intent
