"""All benches, one after the other."""

from __future__ import annotations

from bench import bounded, entrypoint, idle, overhead, saving, transitions

for bench in (transitions, bounded, idle, overhead, saving, entrypoint):
    bench.main()
