"""A program of tools/ as a module."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def tool(name: str) -> ModuleType:
    place = Path(__file__).parents[3] / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_tool", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
