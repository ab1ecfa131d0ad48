"""Brings the database to what this release needs: `python -m cart.migrate`. Doing it twice is harmless."""

from cart.database import connect

STEPS = (
    """create table if not exists orders (
        id       bigint generated always as identity primary key,
        product  text not null,
        cents    integer not null,
        at       timestamptz not null default now(),
        mailed   boolean not null default false
    )""",
    "create index if not exists orders_to_mail on orders (id) where not mailed",
)

database = connect()
for step in STEPS:
    database.run(step)
print(f"the database is up to date ({len(STEPS)} steps)")
