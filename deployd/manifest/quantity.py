"""Amounts as people write them. Each raises ValueError that says what is wrong and what would be right."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["DURATION", "MEMORY", "duration", "memory", "seconds", "shown_seconds"]

UNITS = {
    "k": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "T": 1000**4,
    "Ki": 1024,
    "Mi": 1024**2,
    "Gi": 1024**3,
    "Ti": 1024**4,
}
MEMORY = r"[1-9][0-9]{0,11}([KMGT]i|[kMGT])"
MEMORY_MAXIMUM = 1024**5
"""Bytes. Beyond it is a slip of the pen; below it a number is exact in every JSON reader."""

TIMES = {"s": 1, "m": 60, "h": 3600}
DURATION = r"[0-9]{1,6}(\.[0-9]{1,3})?[smh]"


def memory(text: str) -> int:
    """Bytes: `256Mi` is 256 · 1024², `512M` is 512 · 1000²."""
    number = text.rstrip("kKMGTi")
    size = int(number) * UNITS[text[len(number) :]]
    if size > MEMORY_MAXIMUM:
        raise ValueError("is more than 1024Ti, would be what one copy of the service needs, such as 256Mi")
    return size


def seconds(text: str) -> float:
    """Seconds: `30s`, `2m`, `1.5h`."""
    return float(text[:-1]) * TIMES[text[-1]]


def shown_seconds(amount: float) -> str:
    """The amount with the largest unit that keeps it whole: `1h`, `90s`."""
    unit = next((unit for unit in "hm" if amount and amount % TIMES[unit] == 0), "s")
    return f"{amount / TIMES[unit]:g}{unit}"


def duration(minimum: float, maximum: float) -> Callable[[str], float]:
    """A reader of times from `minimum` to `maximum` seconds."""

    def read(text: str) -> float:
        amount = seconds(text)
        if not minimum <= amount <= maximum:
            raise ValueError(
                f'is "{text}", would be from {shown_seconds(minimum)} to {shown_seconds(maximum)}'
            )
        return amount

    return read
