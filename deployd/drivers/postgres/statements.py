"""From what is there of a database and its role, and what shall be, to the statements that lead there.

Pure. A statement's password is a verifier. Role and comment are made in one transaction; a database
cannot be, so that one without a comment counts as ours when it belongs to our role.
"""

from __future__ import annotations

from dataclasses import dataclass

from deployd.drivers.postgres.verifier import fits, verifier
from deployd.model.reason import Reason

__all__ = [
    "Database",
    "Role",
    "Wanted",
    "create_database",
    "database_statements",
    "quarrel",
    "role_statements",
]

INVALID = -2
"""The limit of a database whose dropping was cut off: Postgres lets nobody in any more."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be."""

    name: str
    """Of the database and of the role that owns it."""
    tag: str
    password: str
    connections: int


@dataclass(frozen=True, slots=True)
class Role:
    """A role that is there."""

    tag: str | None
    verifier: str | None
    connections: int
    login: bool


@dataclass(frozen=True, slots=True)
class Database:
    """A database that is there."""

    tag: str | None
    owner: str
    connections: int
    public: bool
    """Everybody may connect."""

    @property
    def half_dropped(self) -> bool:
        """It cannot be used, only dropped."""
        return self.connections == INVALID


def quarrel(wanted: Wanted, role: Role | None, database: Database | None) -> Reason | None:
    """Why the name cannot be had: somebody else's role or database has it."""
    whose = None
    if role is not None and role.tag != wanted.tag:
        whose = "role", role.tag
    elif database is not None and not _is_ours(wanted, role, database):
        whose = "database", database.tag
    if whose is None:
        return None
    what, tag = whose
    return Reason(
        "NAME_TAKEN",
        f"there is a {what} `{wanted.name}` already, which is not of this resource",
        evidence=f"its comment is {tag!r}; ours would be {wanted.tag!r}",
        remedy=f"Rename or drop the {what} `{wanted.name}`, then retry.",
    )


def role_statements(wanted: Wanted, role: Role | None) -> tuple[str, ...]:
    """To be run in one transaction; none when all is right."""
    name = _identifier(wanted.name)
    made = f"login connection limit {wanted.connections} password"
    if role is None:
        return (
            f"create role {name} {made} {_literal(verifier(wanted.password))}",
            f"comment on role {name} is {_literal(wanted.tag)}",
        )
    if not fits(role.verifier, wanted.password):
        return (f"alter role {name} {made} {_literal(verifier(wanted.password))}",)
    if role.connections != wanted.connections or not role.login:
        return (f"alter role {name} login connection limit {wanted.connections}",)
    return ()


def create_database(wanted: Wanted) -> str:
    """To be run outside of any transaction. Nothing that was ever added to a template comes along."""
    return (
        f"create database {_identifier(wanted.name)} owner {_identifier(wanted.name)} "
        f"template template0 connection limit {wanted.connections}"
    )


def database_statements(wanted: Wanted, database: Database) -> tuple[str, ...]:
    """To be run in one transaction; none when all is right."""
    name = _identifier(wanted.name)
    needed = (
        (database.owner != wanted.name, f"alter database {name} owner to {name}"),
        (database.public, f"revoke all on database {name} from public"),
        (
            database.connections != wanted.connections,
            f"alter database {name} connection limit {wanted.connections}",
        ),
        (database.tag != wanted.tag, f"comment on database {name} is {_literal(wanted.tag)}"),
    )
    return tuple(statement for needs, statement in needed if needs)


def _is_ours(wanted: Wanted, role: Role | None, database: Database) -> bool:
    if database.tag is None:
        return role is not None and database.owner == wanted.name
    return database.tag == wanted.tag


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
