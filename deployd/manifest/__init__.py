"""deployd.yaml: what a developer's file may say, and its reading into the model's specifications."""

from __future__ import annotations

from deployd.manifest.discovery import find
from deployd.manifest.offer import Offer
from deployd.manifest.parsing import Manifest, parse

__all__ = ["Manifest", "Offer", "find", "parse"]
