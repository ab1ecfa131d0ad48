"""Where a release's files come from, kept so that they never change."""

from __future__ import annotations

from deployd.sources.address import check_ref, check_repository
from deployd.sources.archive import UPLOAD_MAXIMUM, check_paths
from deployd.sources.trees import Delta, Fetched, Trees

__all__ = ["UPLOAD_MAXIMUM", "Delta", "Fetched", "Trees", "check_paths", "check_ref", "check_repository"]
