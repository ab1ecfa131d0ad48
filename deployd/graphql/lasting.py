"""What types of the schema say of their objects, so that what was found out of them is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deployd.graphql.columns import Selection

__all__ = ["Lasting", "Place"]

_SELECTIONS = 4
"""For which something is known of one object, at most."""
_NO_ROWS: Mapping[Selection, dict[str, Any]] = {}


class Lasting:
    """A type of the schema whose objects never change: what an attribute of one answers is found out once.

    Invariant: of such an object every plain field says the same for ever, and whoever gets a row of it does
    not change that.
    """

    def known_row(self, selection: Selection) -> dict[str, Any] | None:
        """What is known of it for this selection: all keys, in order; null where each time is another."""
        rows: Mapping[Selection, dict[str, Any]] = self.__dict__.get("_rows", _NO_ROWS)
        return rows.get(selection)

    def know_row(self, selection: Selection, row: dict[str, Any]) -> None:
        """Know this from now on."""
        rows = self.__dict__.setdefault("_rows", {})
        if len(rows) >= _SELECTIONS:
            rows.clear()
        rows[selection] = row


class Place:
    """A type of the schema whose objects are worlds."""

    @property
    def place(self) -> tuple[int, str]:
        """The world's id and name."""
        raise NotImplementedError
