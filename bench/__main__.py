"""All benches, one after the other."""

from __future__ import annotations

from bench import bounded, entrypoint, growth, idle, live, overhead, reads, saving, strain, transitions

for bench in (transitions, growth, strain, bounded, live, reads, idle, overhead, saving, entrypoint):
    bench.main()
