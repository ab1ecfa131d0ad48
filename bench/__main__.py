"""All benches, one after the other."""

from __future__ import annotations

from bench import bounded, entrypoint, growth, idle, live, overhead, saving, strain, transitions

for bench in (transitions, growth, strain, bounded, live, idle, overhead, saving, entrypoint):
    bench.main()
