"""How Python's garbage collector treats a process that drives machines."""

from __future__ import annotations

import gc

__all__ = ["settle_collector"]


def settle_collector() -> None:
    """What is there now stays: the collector need not look at it again, nor come for every few outcomes.

    Once everything long-lived has been made. An outcome leaves no cycles behind, so the collector has little
    to find; by default it comes every 700 objects, and costs a fifth of the processor time of a transition.
    """
    gc.enable()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
