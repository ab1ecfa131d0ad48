"""All benches, one after the other."""

from __future__ import annotations

from bench import entrypoint, growth, idle, overhead, saving, strain, transitions

for bench in (transitions, growth, strain, idle, overhead, saving, entrypoint):
    bench.main()
