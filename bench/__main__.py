"""All benches, one after the other."""

from __future__ import annotations

from bench import idle, transitions

for bench in (transitions, idle):
    bench.main()
