"""What a manifest says of services, beyond what `House.source` writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployd.engine import changes
from deployd.manifest.parsing import Manifest


def describe(monkeypatch: pytest.MonkeyPatch, **services: dict[str, Any]) -> None:
    """From here on these services have these further parts in their specification."""
    find = _FIND

    def found(*where: Any) -> Manifest:
        read = find(*where).services
        return Manifest({name: replace(spec, **services.get(name, {})) for name, spec in read.items()})

    monkeypatch.setattr(changes, "find", found)


_FIND = changes.find
