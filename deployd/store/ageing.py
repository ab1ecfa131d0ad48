"""What would make the database slow with its age: dead rows, transaction ids, duties that nobody does."""

from __future__ import annotations

from deployd.model.duty import DutyOutcome
from deployd.model.finding import Finding, Level
from deployd.store import duties
from deployd.store.database import Database

__all__ = ["dead_rows", "maintenance", "transaction_ids"]

MANY = 100_000
"""Dead rows of a table that are not worth a word, if as many live."""
OLD, VERY_OLD = 600_000_000, 1_500_000_000
"""Transactions: Postgres begins to worry at 200 million, and refuses to write at 2 thousand million."""
LATE = 6 * 3600.0
"""Seconds by which a duty may be late: a server may have been away."""


async def dead_rows(db: Database) -> Finding:
    """Whether vacuum keeps up with what commits leave behind."""
    rows = await db.fetch("examine_dead_rows")
    if rows and not rows[0]["vacuums"]:
        return Finding(
            "dead rows",
            Level.WRONG,
            "autovacuum is off: tables grow with every commit",
            "alter system set autovacuum = on; alter system set track_counts = on; select pg_reload_conf();",
        )
    worst = [one for one in rows if one["dead"] > MANY and one["dead"] > one["live"]]
    if not worst:
        return Finding("dead rows", Level.OK, "vacuum keeps up with what commits leave behind")
    first = worst[0]
    came = "never came" if first["since"] is None else f"came {first['since'] / 60:.0f} minutes ago"
    return Finding(
        "dead rows",
        Level.WARNING,
        f"{first['name']} has {first['dead']:,} dead rows beside {first['live']:,} living ones, in"
        f" {first['bytes'] / 2**20:,.0f} MiB; vacuum {came}",
        f"vacuum (verbose) {first['name']}; it says what keeps it. See also the check `vacuum`.",
        "\n".join(f"{one['name']}: {one['dead']:,} dead, {one['live']:,} living" for one in worst[1:]),
    )


async def transaction_ids(db: Database) -> Finding:
    """Whether what is old gets frozen: else Postgres refuses to write one day."""
    row = (await db.fetch("examine_transaction_ids"))[0]
    said = f"the oldest row that is not frozen is {row['age'] / 1e6:,.0f} million transactions old"
    if row["age"] < OLD:
        return Finding("transactions", Level.OK, said)
    return Finding(
        "transactions",
        Level.WRONG if row["age"] > VERY_OLD else Level.WARNING,
        f"{said}: at 2,000 million Postgres takes no more writes",
        f"vacuum (freeze, verbose) {row['oldest']}; it says what keeps it.",
    )


async def maintenance(db: Database) -> Finding:
    """Whether the duties are done, and come to what they should."""
    there = [one for one in await duties.list_all(db) if one.living]
    failed = [one for one in there if one.last is not None and one.last.outcome is DutyOutcome.FAILED]
    late = [one for one in there if one.overdue > LATE and not one.busy]
    told = [f"{one.name}{_at(one.place)}: {one.last.summary}" for one in failed if one.last is not None]
    told += [f"{one.name}{_at(one.place)}: due since {one.overdue / 3600:.0f} hours" for one in late]
    if failed:
        said, remedy = f"{failed[0].name} failed", f"deployd maintenance {failed[0].name} --run"
    elif late:
        said = f"{late[0].name} was not done in time"
        remedy = "Let a server run; see its log, and: deployd maintenance"
    else:
        number = f"{len(there)} duties" if there else "no server has planned any duty yet"
        return Finding("maintenance", Level.OK, f"{number}, all in time" if there else number)
    more = f", and {len(told) - 1} more" if len(told) > 1 else ""
    return Finding("maintenance", Level.WARNING, said + more, remedy, "\n".join(told))


def _at(place: str) -> str:
    return f" of {place}" if place else ""
