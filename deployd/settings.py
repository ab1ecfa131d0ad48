"""The server's settings, read once from the environment and handed down from there.

DEPLOYD_HOME          where deployd keeps what belongs to this host
DEPLOYD_DATABASE_URL  the Postgres to use; without it deployd runs its own below the home
DEPLOYD_HOST          the address to listen on
DEPLOYD_PORT          the port to listen on; 0 takes any free one
DEPLOYD_LOG_LEVEL     how much is logged
DEPLOYD_LOG_FORMAT    text, for people; or json, one object a line
DEPLOYD_ENTRYPOINT_PORT  the port of the local addresses, NAME.localhost; 0: there are none
DEPLOYD_SECRET_KEY    what secrets are encrypted with, 32 bytes in base64; without it secret.key in the home
DEPLOYD_KEEP_TRANSITIONS, _AUDIT, _ATTEMPTS, _SOURCES  for how many days (90d) these are kept, or forever
DEPLOYD_KEEP_RELEASES  how many releases and deployments of each service are kept, however old they are

An empty variable counts as not set, as compose files and unit files like to leave them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from deployd.errors import SettingsError
from deployd.model.retention import Retention
from deployd.store.key import parse_key

__all__ = ["Settings"]

PREFIX = "DEPLOYD_"
OWN = (
    *("HOME", "DATABASE_URL", "HOST", "PORT", "LOG_LEVEL", "LOG_FORMAT", "ENTRYPOINT_PORT", "SECRET_KEY"),
    *("KEEP_TRANSITIONS", "KEEP_AUDIT", "KEEP_ATTEMPTS", "KEEP_SOURCES", "KEEP_RELEASES"),
)
"""What the server reads."""
OTHERS = ("TOKEN", "SERVER", "WORLD", "CONTEXT")
"""What the command line reads."""
TOLD = ("SERVICE", "RELEASE")
"""What services are told of themselves: a server may be one of another deployd's."""
LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("text", "json")
NAME_OR_ADDRESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%\w+)?")
FEWEST_DAYS, MOST_DAYS = 7, 36500
"""Answers to requests are kept for a week: what they refer to has to be there as long."""
FEWEST_RELEASES, MOST_RELEASES = 2, 1_000_000
"""One serves, and one can be gone back to."""
LIKENESS = 0.65
"""From here on a name is a misspelling: PROT of PORT is .75, SERVICE_PORT and PORT_7070_TCP are not."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, checked."""

    home: Path
    """Absolute; it may not exist yet."""
    database_url: str | None = None
    """Contains a password, so it is never shown. None: the embedded Postgres."""
    host: str = "127.0.0.1"
    port: int = 7070
    log_level: str = "info"
    """One of `debug`, `info`, `warning`, `error`, `critical`."""
    log_format: str = "text"
    """`text` or `json`."""
    entrypoint_port: int = 7080
    """Of 127.0.0.1; 0: no local addresses."""
    secret_key: bytes | None = field(default=None, repr=False)
    """Never shown. None: the one in the home."""
    keep: Retention = Retention()  # noqa: RUF009 - frozen
    """How long what nobody needs any more is kept."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read and check everything. Raises SettingsError at the first thing that is wrong."""
        _refuse_misspellings(environ)
        home = environ.get("DEPLOYD_HOME")
        return cls(
            home=Path(home).absolute() if home else _default_home(environ),
            database_url=_database_url(environ),
            host=_host(environ),
            port=_port(environ),
            log_level=_log_level(environ),
            log_format=_log_format(environ),
            entrypoint_port=_entrypoint_port(environ),
            secret_key=_secret_key(environ),
            keep=_keep(environ),
        )


def _refuse_misspellings(environ: Mapping[str, str]) -> None:
    for variable in sorted(environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in OWN + OTHERS + TOLD:
            continue
        from difflib import get_close_matches  # here, because hardly any start comes this far

        if close := get_close_matches(name, OWN, n=1, cutoff=LIKENESS):
            raise SettingsError(
                f"{variable} is no setting of deployd; {PREFIX}{close[0]} is",
                remedy=f"Set {PREFIX}{close[0]}, or remove {variable} from the environment.",
            )


def _default_home(environ: Mapping[str, str]) -> Path:
    user = Path(environ.get("HOME") or Path.home())
    if sys.platform == "darwin":
        return user / "Library" / "Application Support" / "deployd"
    if os.geteuid() == 0:
        return Path("/var/lib/deployd")
    data = Path(environ.get("XDG_DATA_HOME") or "")
    # The XDG specification has relative paths ignored.
    return (data if data.is_absolute() else user / ".local" / "share") / "deployd"


def _database_url(environ: Mapping[str, str]) -> str | None:
    value = environ.get("DEPLOYD_DATABASE_URL")
    if value and not value.startswith(("postgresql://", "postgres://")):
        scheme, found, _ = value.partition("://")
        seen = f"begins with {scheme + found!r}" if found else "has no scheme"  # the rest may be a password
        raise SettingsError(
            f"DEPLOYD_DATABASE_URL is no address of a Postgres: it {seen}",
            remedy="Set it to postgresql://USER:PASSWORD@HOST:5432/DATABASE, or remove it.",
        )
    return value or None


def _host(environ: Mapping[str, str]) -> str:
    value = environ.get("DEPLOYD_HOST") or "127.0.0.1"
    if not NAME_OR_ADDRESS.fullmatch(value):
        raise SettingsError(
            f"DEPLOYD_HOST is {value!r}, which is no name or address",
            remedy="Set it to an address such as 127.0.0.1, 0.0.0.0 or ::, without scheme and port.",
        )
    return value


def _port(environ: Mapping[str, str]) -> int:
    value = environ.get("DEPLOYD_PORT") or "7070"
    if value.startswith("tcp://") and "KUBERNETES_SERVICE_HOST" in environ:
        # Kubernetes tells every pod of a Service called "deployd" in a variable of just this name.
        return 7070
    if not (value.isascii() and value.isdecimal() and int(value) <= 65535):
        raise SettingsError(
            f"DEPLOYD_PORT is {value!r}, which is no port",
            remedy="Set it to a number from 1 to 65535, or to 0 for any free port.",
        )
    return int(value)


def _entrypoint_port(environ: Mapping[str, str]) -> int:
    value = environ.get("DEPLOYD_ENTRYPOINT_PORT") or "7080"
    if not (value.isascii() and value.isdecimal() and int(value) <= 65535):
        raise SettingsError(
            f"DEPLOYD_ENTRYPOINT_PORT is {value!r}, which is no port",
            remedy="Set it to a number from 1 to 65535, or to 0 for no local addresses.",
        )
    return int(value)


def _secret_key(environ: Mapping[str, str]) -> bytes | None:
    value = environ.get("DEPLOYD_SECRET_KEY")
    return parse_key(value, "DEPLOYD_SECRET_KEY") if value else None


def _keep(environ: Mapping[str, str]) -> Retention:
    keep = Retention(
        transitions=_days(environ, "TRANSITIONS", Retention().transitions),
        audit=_days(environ, "AUDIT", Retention().audit),
        attempts=_days(environ, "ATTEMPTS", Retention().attempts),
        sources=_days(environ, "SOURCES", Retention().sources),
    )
    value = environ.get("DEPLOYD_KEEP_RELEASES")
    if not value:
        return keep
    if not (value.isascii() and value.isdecimal() and FEWEST_RELEASES <= int(value) <= MOST_RELEASES):
        raise SettingsError(
            f"DEPLOYD_KEEP_RELEASES is {value!r}, which is no number of releases to keep",
            remedy=f"Set it to a number from {FEWEST_RELEASES} on.",
        )
    return replace(keep, releases=int(value))


def _days(environ: Mapping[str, str], what: str, default: timedelta | None) -> timedelta | None:
    variable = f"{PREFIX}KEEP_{what}"
    value = environ.get(variable)
    if not value:
        return default
    if value == "forever":
        return None
    number = value.removesuffix("d")
    if not (number.isascii() and number.isdecimal() and FEWEST_DAYS <= int(number) <= MOST_DAYS):
        raise SettingsError(
            f"{variable} is {value!r}, which is no time to keep something for",
            remedy=f"Set it to a number of days from {FEWEST_DAYS} on, such as 90d, or to forever.",
        )
    return timedelta(days=int(number))


def _log_level(environ: Mapping[str, str]) -> str:
    value = (environ.get("DEPLOYD_LOG_LEVEL") or "info").lower()
    if value not in LEVELS:
        raise SettingsError(
            f"DEPLOYD_LOG_LEVEL is {value!r}, which is no level",
            remedy=f"Set it to one of {', '.join(LEVELS)}.",
        )
    return value


def _log_format(environ: Mapping[str, str]) -> str:
    value = (environ.get("DEPLOYD_LOG_FORMAT") or "text").lower()
    if value not in FORMATS:
        raise SettingsError(
            f"DEPLOYD_LOG_FORMAT is {value!r}, which is no format",
            remedy=f"Set it to one of {', '.join(FORMATS)}.",
        )
    return value
