"""Which target a request gets: smooth weighted round robin, so that shares hold for short times too. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .record import Target

__all__ = ["Balance"]


class Balance:
    """Of one service. Of any N requests in a row each target gets its share, give or take one or two."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}

    def choose(self, targets: Sequence[Target], tried: Collection[str] = ()) -> str | None:
        """The next target that was not tried; None when there is none."""
        open_ = [one for one in targets if one.address not in tried]
        if len(open_) < 2:
            return open_[0].address if open_ else None
        self._due = {one.address: self._due.get(one.address, 0) for one in targets}
        for one in open_:
            self._due[one.address] += one.weight
        chosen = max(open_, key=lambda one: self._due[one.address]).address
        self._due[chosen] -= sum(one.weight for one in open_)
        return chosen
