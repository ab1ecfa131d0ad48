"""Amounts as people write them. Each raises ValueError that says what is wrong and what would be right."""

from __future__ import annotations

__all__ = ["MEMORY", "SECONDS", "TIMEOUT_MAXIMUM", "TIMEOUT_MINIMUM", "memory", "seconds"]

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
SECONDS = r"[0-9]{1,6}(\.[0-9]{1,3})?[smh]"
TIMEOUT_MINIMUM = 1
TIMEOUT_MAXIMUM = 3600


def memory(text: str) -> int:
    """Bytes: `256Mi` is 256 · 1024², `512M` is 512 · 1000²."""
    number = text.rstrip("kKMGTi")
    size = int(number) * UNITS[text[len(number) :]]
    if size > MEMORY_MAXIMUM:
        raise ValueError("is more than 1024Ti, would be what one copy of the service needs, such as 256Mi")
    return size


def seconds(text: str) -> float:
    """Seconds: `30s`, `2m`, `1.5h`; within the bounds of a timeout."""
    amount = float(text[:-1]) * TIMES[text[-1]]
    if not TIMEOUT_MINIMUM <= amount <= TIMEOUT_MAXIMUM:
        raise ValueError(f'is "{text}", would be from 1s to 1h')
    return amount
