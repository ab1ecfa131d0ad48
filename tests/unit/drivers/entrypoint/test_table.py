"""What the proxy reads in its records."""

from __future__ import annotations

from pathlib import Path

from deployd.drivers.entrypoint.proxy.record import Record, Target, write_record
from deployd.drivers.entrypoint.proxy.table import Table


def test_who_is_being_replaced_is_served_still(tmp_path: Path) -> None:
    """Else the proxy would end in the middle of a recreate, and callers be refused instead of told."""
    table = Table(tmp_path, ("127.0.0.1", 1))

    def serves(record: Record) -> bool:
        write_record(tmp_path, "cart", record)
        table.load()
        return table.serves

    assert not table.serves
    assert serves(Record("cart", (Target("127.0.0.1:9", 100),)))
    assert serves(Record("cart", why="is being replaced", soon=True))
    assert not serves(Record("cart", why="is suspended"))
