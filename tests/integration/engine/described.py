"""What a manifest says of services, beyond what `House.source` writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployd.engine import reading
from deployd.manifest.parsing import Manifest


def describe(monkeypatch: pytest.MonkeyPatch, **services: dict[str, Any]) -> None:
    """From here on these services have these further parts in their specification."""
    find = _FIND

    def found(*where: Any, **how: Any) -> Manifest:
        read = find(*where, **how)
        more = {name: replace(spec, **services.get(name, {})) for name, spec in read.services.items()}
        return replace(read, services=more)

    monkeypatch.setattr(reading, "find", found)


_FIND = reading.find
