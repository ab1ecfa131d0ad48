"""What a git tree has: one file or symbolic link."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LINK", "Entry"]

LINK = "120000"
"""The mode of a symbolic link; its content is its target."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One of them; folders are only parts of paths."""

    path: str
    """From the root of the tree, with `/` between names."""
    mode: str
    """As git writes it: `100644`, `100755`, or LINK."""
    oid: str
    """The id of its content: the same content has the same one."""
