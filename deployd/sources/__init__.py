"""Where a release's files come from, kept so that they never change."""

from __future__ import annotations

from deployd.sources.trees import Trees

__all__ = ["Trees"]
