"""Run as a file, without the deployd package around it: `python -I -S …/shim/__main__.py INSTANCE_DIR`."""

import os
import sys
from importlib import import_module
from pathlib import Path

folder = Path(__file__).parent
sys.path.insert(0, str(folder.parent))
os._exit(import_module(f"{folder.name}.supervisor").main(Path(sys.argv[1]).absolute()))
