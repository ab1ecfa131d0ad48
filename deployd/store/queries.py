"""The SQL, read once from sql/*.sql. A query begins at its `-- name:` line and ends at the next one."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["QUERIES"]

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def _load(folder: Path) -> dict[str, str]:
    """Every query by its name; ValueError where two have the same."""
    queries: dict[str, str] = {}
    for path in sorted(folder.glob("*.sql")):
        _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, sql in zip(parts[::2], parts[1::2], strict=True):
            if name in queries:
                raise ValueError(f"{path.name}: there are two queries named {name}")
            queries[name] = sql.strip().removesuffix(";")
    return queries


QUERIES = _load(Path(__file__).parent / "sql")
