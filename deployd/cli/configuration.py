"""The contexts that a person keeps: servers by name, each with a world and a token that is for it alone.

They are in `deployd/config.yaml` below XDG_CONFIG_HOME (else ~/.config), which only its owner may read.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deployd.errors import InputError, NotFound, SettingsError

__all__ = ["Contexts", "Place", "check_name", "check_server", "place_of_file", "read", "write"]

ANSWERING = 30.0
"""Seconds within which a command that tells a token has to end."""
_KEYS = {"server": "server", "world": "world", "token": "token", "token-file": "token_file"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_URL = re.compile(r"https?://[^/\s?#]+(/[^\s?#]*)?")


@dataclass(frozen=True, slots=True)
class Place:
    """One context. At most one of the three ways to a token is set."""

    name: str
    server: str | None = None
    """Without a slash at its end; None: the server of this host."""
    world: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    token_command: tuple[str, ...] = ()

    @property
    def has_token(self) -> bool:
        """Whether it knows where its token comes from."""
        return bool(self.token or self.token_file or self.token_command)

    @property
    def token_from(self) -> str:
        """Where its token comes from; never the token."""
        if self.token_file:
            return f"file {self.token_file}"
        if self.token_command:
            return f"command {' '.join(self.token_command)}"
        return "kept in the context" if self.token else "none"

    def without_token(self) -> Place:
        """The same, knowing none."""
        return replace(self, token=None, token_file=None, token_command=())

    def find_token(self) -> str | None:
        """The token, from wherever it is. Raises SettingsError."""
        if self.token_file:
            try:
                return Path(self.token_file).read_text().strip() or None
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(
                    f"the token of context {self.name} cannot be read: {self.token_file}",
                    evidence=str(error),
                    remedy=f"Name another file: deployd context set {self.name} --token-file PATH",
                ) from error
        return self._ask() if self.token_command else self.token

    def _ask(self) -> str | None:
        import subprocess

        try:
            ended = subprocess.run(
                self.token_command, stdout=subprocess.PIPE, timeout=ANSWERING, check=True, text=True
            )
        except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"the command that tells the token of context {self.name} failed",
                evidence=f"{self.token_command[0]}: {type(error).__name__}"
                + (f", exit status {error.returncode}" if hasattr(error, "returncode") else ""),
                remedy=f"Run it yourself: {' '.join(self.token_command)}",
            ) from error
        return ended.stdout.strip() or None


@dataclass(frozen=True, slots=True)
class Contexts:
    """All of them, and which is in use."""

    file: Path
    current: str | None = None
    places: Mapping[str, Place] = field(default_factory=dict)

    def get(self, name: str) -> Place:
        """The one of this name. Raises NotFound."""
        if name not in self.places:
            raise NotFound(
                f"there is no context {name!r}",
                evidence=f"there are: {', '.join(self.places)}" if self.places else f"{self.file} has none",
                remedy=f"Make it: deployd context set {name} --server URL",
            )
        return self.places[name]

    def with_(self, place: Place) -> Contexts:
        """With this one added or replaced; the first that there is, is in use."""
        return replace(self, current=self.current or place.name, places={**self.places, place.name: place})

    def without(self, name: str) -> Contexts:
        """With this one removed. Raises NotFound."""
        self.get(name)
        left = {one: place for one, place in self.places.items() if one != name}
        return replace(self, current=None if self.current == name else self.current, places=left)


def place_of_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the contexts are kept."""
    configured = Path(environ.get("XDG_CONFIG_HOME") or "")
    # The XDG specification has relative paths ignored.
    root = configured if configured.is_absolute() else Path(environ.get("HOME") or Path.home()) / ".config"
    return root / "deployd" / "config.yaml"


def check_name(name: str) -> str:
    """The name, if it is one. Raises InputError."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name of a context", remedy="Take letters, digits, and inner '.', '_' and '-'."
        )
    return name


def check_server(server: str, remedy: str) -> str:
    """The URL without a slash at its end. Raises InputError."""
    if not _URL.fullmatch(server):
        raise InputError(f"the server {server!r} is no URL", remedy=remedy)
    if "@" in server.split("/")[2]:
        raise InputError("a server's URL has no password in it", remedy="Give the token by --token-stdin.")
    return server.rstrip("/")


def read(environ: Mapping[str, str] = os.environ) -> Contexts:
    """What is kept; nothing if there is no file. Raises SettingsError."""
    file = place_of_file(environ)
    try:
        text, mode = file.read_text(), file.stat().st_mode
    except FileNotFoundError:
        return Contexts(file)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read", evidence=str(error)) from error
    import yaml

    try:
        content = yaml.safe_load(text)
        contexts = _parsed(file, {} if content is None else content)
    except (yaml.YAMLError, TypeError, ValueError, AttributeError) as error:
        # Nothing of the file is repeated: there may be a token in it.
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        raise SettingsError(
            f"{where} is not as `deployd context set` writes it", remedy="Put it right, or remove it."
        ) from error
    if mode & 0o077 and any(one.token for one in contexts.places.values()):
        raise SettingsError(f"{file} has a token, and others may read it", remedy=f"chmod 600 {file}")
    return contexts


def _parsed(file: Path, content: dict[str, Any]) -> Contexts:
    if unknown := content.keys() - {"current", "contexts"}:
        raise ValueError(f"unknown: {unknown}")
    places = {}
    for name, one in (content.get("contexts") or {}).items():
        given = dict(one or {})
        command = given.pop("token-command", None) or ()
        if given.keys() - _KEYS.keys() or not all(isinstance(value, str) for value in given.values()):
            raise ValueError(f"context {name}")
        if isinstance(command, str):
            import shlex

            command = shlex.split(command)
        named = {_KEYS[key]: value for key, value in given.items()}
        if "server" in named:
            named["server"] = check_server(named["server"], f"Put {file} right.")
        places[str(name)] = Place(str(name), **named, token_command=tuple(map(str, command)))
    return Contexts(file, content.get("current"), places)


def write(contexts: Contexts) -> None:
    """Keep them, at once or not at all, for their owner's eyes only. Raises SettingsError."""
    import yaml

    content: dict[str, Any] = {"current": contexts.current} if contexts.current else {}
    content["contexts"] = {
        place.name: {key: getattr(place, name) for key, name in _KEYS.items() if getattr(place, name)}
        | ({"token-command": list(place.token_command)} if place.token_command else {})
        for place in contexts.places.values()
    }
    folder = contexts.file.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes it 0600.
        descriptor, name = tempfile.mkstemp(prefix="config-", dir=folder)
        try:
            with os.fdopen(descriptor, "w") as opened:
                yaml.safe_dump(content, opened, sort_keys=False, allow_unicode=True)
            Path(name).replace(contexts.file)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise SettingsError(f"{contexts.file} cannot be written", evidence=str(error)) from error
