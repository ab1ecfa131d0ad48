"""Run as a file, without the deployd package around it: `python -I -S …/__main__.py HOME HOST PORT`."""

import os
import sys
from importlib import import_module
from pathlib import Path

folder = Path(__file__).parent
sys.path.insert(0, str(folder.parent))
code = import_module(f"{folder.name}.program").main(
    Path(sys.argv[1]).absolute(), sys.argv[2], int(sys.argv[3])
)
sys.stderr.flush()
os._exit(code)
