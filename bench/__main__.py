"""All benches, one after the other."""

from __future__ import annotations

from bench import entrypoint, idle, overhead, reads, saving, transitions

for bench in (transitions, reads, idle, overhead, saving, entrypoint):
    bench.main()
