"""What hatchling runs before it makes a wheel or an sdist: both contain the playground."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Playground(BuildHookInterface[Any]):
    """Fetches it where it is not there yet. An sdist has it: a wheel is made of that without a network."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises CannotFetch. An editable installation is a checkout, which tools/setup looks after."""
        if version == "editable":
            return
        place = Path(self.root) / "tools" / "playground.py"
        spec = importlib.util.spec_from_file_location("playground", place)
        assert spec is not None
        assert spec.loader is not None
        playground = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(playground)
        playground.fetch(playground.FOLDER)
