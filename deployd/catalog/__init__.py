"""What can be asked for by slug: definitions of resources, and which of them a world can make."""

from __future__ import annotations

from deployd.catalog.builtin import BUILTIN
from deployd.catalog.example import example
from deployd.catalog.resolving import Offered, offered

__all__ = ["BUILTIN", "Offered", "example", "offered"]
