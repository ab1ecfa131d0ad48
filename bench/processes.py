"""What processes use: memory now, and processor time over a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped] # ships no types

__all__ = ["Usage", "below", "mentioning", "parent", "spent", "usage"]

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a group of processes together."""

    processes: int
    rss: float
    """MiB, what they share counted for each."""
    pss: float
    """MiB, what they share divided among all that share it."""
    cpu: float
    """Seconds of processor time, of user and kernel, per minute."""


async def usage(groups: Mapping[str, Iterable[int]], seconds: float) -> dict[str, Usage]:
    """Memory at the end of so many seconds, processor time during them.

    What ended meanwhile (a connection that its pool gave up) is left out.
    """
    before = {
        name: {process: _spent(process) for process in map(psutil.Process, pids)}
        for name, pids in groups.items()
    }
    began = time.monotonic()
    await asyncio.sleep(seconds)
    minutes = (time.monotonic() - began) / 60
    used: dict[str, Usage] = {}
    for name, group in before.items():
        count, rss, pss, cpu = 0, 0.0, 0.0, 0.0
        for process, spent in group.items():
            try:
                memory = process.memory_full_info()
                cpu += (_spent(process) - spent) / minutes
            except psutil.NoSuchProcess:
                continue
            count, rss, pss = count + 1, rss + memory.rss / MIB, pss + memory.pss / MIB
        used[name] = Usage(count, rss, pss, cpu)
    return used


def spent(pids: Iterable[int]) -> float:
    """Seconds of processor time that they have used so far, and those of their children that have ended."""
    seconds = 0.0
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue  # its parent's children's time has it now
        seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def mentioning(word: str) -> list[int]:
    """Every process on this host whose command line contains the word."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(word in argument for argument in process.cmdline()):
                found.append(process.pid)
        except psutil.Error:
            continue  # it ended under our eyes
    return found


def parent(pid: int) -> int:
    """The process that started it."""
    return int(psutil.Process(pid).ppid())


def below(pids: Iterable[int]) -> list[int]:
    """Their children, and theirs."""
    found = []
    for pid in pids:
        try:
            found += [child.pid for child in psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return found
