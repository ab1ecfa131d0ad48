"""Counters and histograms that cost a dictionary's update: for one event loop, without locks.

Names and units are those of Prometheus' conventions; values of labels come from a set that is small and
known: kinds, states, drivers, fields. Never ids, never what a caller may choose.
"""

from __future__ import annotations

from bisect import bisect_left

__all__ = ["FAST", "SIZES", "SLOW", "Counter", "Histogram"]

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds, of what is done in one go."""
SLOW = (0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0)
"""Seconds, of what waits for the outside world."""
SIZES = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0)


class Counter:
    """What only grows."""

    __slots__ = ("help", "labels", "name", "values")

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = ()) -> None:
        """`name` without `_total`."""
        self.name, self.help, self.labels = name, text, labels
        self.values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, *labels: str, amount: float = 1) -> None:
        """Count so much more, of these labels' values in their order."""
        self.values[labels] = self.values.get(labels, 0.0) + amount


class Series:
    """What a histogram knows of one set of labels' values."""

    __slots__ = ("counts", "sum")

    def __init__(self, size: int) -> None:
        self.counts = [0] * size
        """By bucket, each without those below; the last is beyond all bounds."""
        self.sum = 0.0


class Histogram:
    """How large something is, again and again."""

    __slots__ = ("bounds", "help", "labels", "name", "series")

    def __init__(
        self, name: str, text: str, labels: tuple[str, ...] = (), bounds: tuple[float, ...] = FAST
    ) -> None:
        """`name` with its unit at the end."""
        self.name, self.help, self.labels, self.bounds = name, text, labels, bounds
        self.series: dict[tuple[str, ...], Series] = {}
        if not labels:
            self.series[()] = Series(len(bounds) + 1)

    def observe(self, value: float, *labels: str) -> None:
        """One more, of this size."""
        series = self.series.get(labels)
        if series is None:
            series = self.series[labels] = Series(len(self.bounds) + 1)
        series.counts[bisect_left(self.bounds, value)] += 1
        series.sum += value
