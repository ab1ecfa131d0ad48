"""Every error that deployd raises on purpose.

    DeploydError
    ├── InputError                 somebody asked for what cannot be
    │   ├── ManifestError          the developer's file is wrong (all problems at once)
    │   ├── NotFound               no such world, service, deployment, …
    │   │   └── BaseUnknown        the tree that an upload changes is not here
    │   ├── Conflict               it contradicts what is there already
    │   ├── CursorExpired          what comes behind a cursor is not kept any more
    │   ├── Unsupported            the world cannot do it
    │   ├── Unauthenticated        no valid token
    │   └── Forbidden              the policy says no
    ├── SettingsError              the environment of the server is wrong
    ├── StoreError                 the database
    │   ├── PostgresUnavailable    it does not start or does not answer
    │   ├── MigrationError         its schema is not what this version needs
    │   └── SecretsUnreadable      what it keeps encrypted does not open with this server's key
    ├── EngineError                the machinery
    │   ├── IllegalTransition      a trigger that the table does not know in this state
    │   └── LeaseLost              the machine belongs to another worker by now
    └── DriverError                the outside world, translated once in a driver's client
        ├── Retryable              it may work later
        ├── Terminal               it will not work like this
        └── Denied                 not with these credentials

Each class has a stable `code`, which is what APIs answer and programs compare; its docstring's first
line is the message when none is given.
"""

from __future__ import annotations

import re
from typing import ClassVar

__all__ = [
    "BaseUnknown",
    "Conflict",
    "CursorExpired",
    "Denied",
    "DeploydError",
    "DriverError",
    "EngineError",
    "Forbidden",
    "IllegalTransition",
    "InputError",
    "LeaseLost",
    "ManifestError",
    "MigrationError",
    "NotFound",
    "PostgresUnavailable",
    "Retryable",
    "SecretsUnreadable",
    "SettingsError",
    "StoreError",
    "Terminal",
    "Unauthenticated",
    "Unsupported",
]


class DeploydError(Exception):
    """deployd could not do this."""

    code: ClassVar[str] = "ERROR"

    def __init__(self, message: str = "", *, remedy: str = "", evidence: str = "") -> None:
        """`remedy` is what to do, in the imperative; `evidence` what was seen (log lines, an event)."""
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])
        self.remedy = remedy
        self.evidence = evidence

    @property
    def message(self) -> str:
        """What failed, on which object, in one sentence."""
        return str(self.args[0])


class InputError(DeploydError):
    """The request is wrong."""

    code = "INVALID_INPUT"
    path: tuple[str, ...] = ()
    """Which part of a request that has parts, from the outside in; empty: who asked knows."""


class ManifestError(InputError):
    """The manifest is wrong."""

    code = "INVALID_MANIFEST"

    def __init__(self, problems: tuple[str, ...]) -> None:
        """`problems`: one line each, `file:line:column: path: what is wrong, what would be right`."""
        super().__init__("\n".join(problems), remedy="Mend these places and deploy again.")
        self.problems = problems

    @property
    def where(self) -> str | None:
        """`file:line:column` of the first."""
        found = re.match(r"[^\n]*?:[0-9]+:[0-9]+(?=: )", self.problems[0]) if self.problems else None
        return found and found.group()


class NotFound(InputError):
    """There is no such thing."""

    code = "NOT_FOUND"


class BaseUnknown(NotFound):
    """The tree that the upload changes is not known here."""

    code = "BASE_UNKNOWN"


class Conflict(InputError):
    """This contradicts what is there already."""

    code = "CONFLICT"


class CursorExpired(InputError):
    """What comes behind the cursor is not kept any more."""

    code = "CURSOR_EXPIRED"


class Unsupported(InputError):
    """The world cannot do this."""

    code = "UNSUPPORTED"


class Unauthenticated(InputError):
    """A valid token is needed."""

    code = "UNAUTHENTICATED"


class Forbidden(InputError):
    """The policy does not permit this."""

    code = "FORBIDDEN"


class SettingsError(DeploydError):
    """The server's settings are wrong."""

    code = "SETTINGS"


class StoreError(DeploydError):
    """The database could not do this."""

    code = "STORE"


class PostgresUnavailable(StoreError):
    """Postgres does not answer."""

    code = "POSTGRES_UNAVAILABLE"


class MigrationError(StoreError):
    """The database's schema is not what this version needs."""

    code = "MIGRATION"


class SecretsUnreadable(StoreError):
    """What is kept encrypted does not open with this server's key."""

    code = "SECRETS_UNREADABLE"


class EngineError(DeploydError):
    """The engine could not do this."""

    code = "ENGINE"


class IllegalTransition(EngineError):
    """The machine's table does not allow this trigger in this state."""

    code = "ILLEGAL_TRANSITION"


class LeaseLost(EngineError):
    """The lease on this machine is too old to act on it."""

    code = "LEASE_LOST"


class DriverError(DeploydError):
    """A driver could not do this."""

    code = "DRIVER"


class Retryable(DriverError):
    """The call may work later."""

    code = "RETRYABLE"


class Terminal(DriverError):
    """The call will not work like this."""

    code = "TERMINAL"


class Denied(DriverError):
    """The credentials do not permit the call."""

    code = "DENIED"
