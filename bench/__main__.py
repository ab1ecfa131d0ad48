"""All benches, one after the other."""

from __future__ import annotations

from bench import bounded, entrypoint, growth, idle, overhead, saving, strain, transitions

for bench in (transitions, growth, strain, bounded, idle, overhead, saving, entrypoint):
    bench.main()
