"""Where a release's files come from, kept so that they never change."""

from __future__ import annotations

from deployd.sources.address import check_ref, check_repository
from deployd.sources.archive import UPLOAD_MAXIMUM
from deployd.sources.trees import Fetched, Trees

__all__ = ["UPLOAD_MAXIMUM", "Fetched", "Trees", "check_ref", "check_repository"]
