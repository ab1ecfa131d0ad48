"""All benches, one after the other."""

from __future__ import annotations

from bench import entrypoint, idle, live, overhead, saving, transitions

for bench in (transitions, live, idle, overhead, saving, entrypoint):
    bench.main()
