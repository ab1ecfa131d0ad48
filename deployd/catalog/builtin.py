"""The definitions that come with deployd: for a world on one host."""

from __future__ import annotations

from deployd.model.definition import Definition, Parameter

__all__ = ["BUILTIN"]

POSTGRES = Definition(
    slug="postgres",
    type="postgres",
    driver="local/postgres",
    description="A database and a role of its own in the world's Postgres server, on this host.",
    params={
        "connections": Parameter(
            "integer", 20, "How many connections may be open to it at once.", minimum=1, maximum=100
        ),
    },
    outputs=("host", "port", "database", "username", "password", "url"),
    secret_outputs=frozenset({"password", "url"}),
)

BUILTIN: tuple[Definition, ...] = (POSTGRES,)
