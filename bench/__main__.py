"""All benches, one after the other."""

from __future__ import annotations

from bench import entrypoint, idle, overhead, saving, transitions

for bench in (transitions, idle, overhead, saving, entrypoint):
    bench.main()
