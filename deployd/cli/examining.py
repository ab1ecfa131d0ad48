"""What a command line can find out about the installation of its own host, with or without a server."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from deployd.errors import DeploydError, SettingsError
from deployd.model.finding import Finding, Level
from deployd.settings import Settings

__all__ = ["clock", "database", "disk", "git", "home", "key", "port", "python"]

SCARCE, NONE_LEFT = 2**30, 50 * 2**20
"""Bytes of the home's disk below which it soon fails, and below which it does."""
GIT = (2, 29)
"""The oldest git that deployd is tried with."""
SKEW = 5.0
"""Seconds; the server says its time in whole ones."""
PATIENCE = 5.0


def python() -> Finding:
    """The interpreter of this command line; an older one than deployd needs does not come so far."""
    shown = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", Level.OK, shown)


def home(settings: Settings) -> Finding:
    """Whether this user can work in the home, and others cannot read what is private there."""
    folder = settings.home
    if not folder.exists():
        parent = next(one for one in folder.parents if one.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return Finding("home", Level.OK, f"{folder} is not there yet; the first start makes it")
        return Finding(
            "home",
            Level.WRONG,
            f"{folder} is not there, and this user may not make it",
            f"Let this user write to {parent}, or set DEPLOYD_HOME to another folder.",
        )
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            "home",
            Level.WRONG,
            f"this user may not work in {folder}",
            f"Run deployd as its owner, or give it away: chown -R {os.geteuid()} {folder}",
        )
    open_to_others = [
        file.name
        for file in (folder / "token", folder / "secret.key", folder / "postgres" / "password")
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
    if open_to_others:
        return Finding(
            "home",
            Level.WRONG,
            f"other users can read {', '.join(open_to_others)} in {folder}",
            f"chmod 600 {' '.join(str(folder / name) for name in open_to_others)}; they may be known by now.",
        )
    return Finding("home", Level.OK, str(folder))


def disk(settings: Settings) -> Finding:
    """Whether there is room in the home."""
    there = next(one for one in (settings.home, *settings.home.parents) if one.exists())
    usage = shutil.disk_usage(there)
    if usage.free >= SCARCE:
        return Finding("disk", Level.OK, f"{usage.free / 2**30:.1f} GiB are free in the home")
    return Finding(
        "disk",
        Level.WRONG if usage.free < NONE_LEFT else Level.WARNING,
        f"only {usage.free / 2**20:.0f} MiB are free in the home",
        f"Free some of the disk of {there}, or set DEPLOYD_HOME to a larger one.",
    )


def port(settings: Settings, pid: int | None) -> Finding:
    """Whether the port is the server's own (`pid`), or can be had."""
    from deployd.drivers.port_holder import holder

    if pid is not None:
        return Finding("port", Level.OK, f"process {pid} is the server of this home")
    if not settings.port:
        return Finding("port", Level.OK, "any free port will be taken")
    who = holder(settings.port)
    if who is None:
        return Finding("port", Level.OK, f"port {settings.port} is free")
    return Finding(
        "port",
        Level.WRONG,
        f"port {settings.port} is taken by {who}",
        "Set DEPLOYD_PORT to another one (0 takes any free one), or end what holds it.",
    )


def key(settings: Settings) -> Finding:
    """Whether the secrets' key can be read. Whether it is the right one, the server says."""
    from deployd.store.key import parse_key

    if settings.secret_key is not None:
        return Finding("key", Level.OK, "secrets are encrypted with DEPLOYD_SECRET_KEY")
    file = settings.home / "secret.key"
    if not file.exists():
        return Finding("key", Level.OK, "there is no key yet; the first start makes one")
    try:
        parse_key(file.read_text(encoding="ascii", errors="replace"), str(file))
    except SettingsError as error:
        return Finding("key", Level.WRONG, error.message, error.remedy)
    except OSError as error:
        return Finding(
            "key", Level.WRONG, f"{file} cannot be read: {error.strerror}", "Run deployd as its owner."
        )
    return Finding("key", Level.OK, f"{file} holds a key; keep a copy of it elsewhere")


def git(path: str | None = None) -> Finding:
    """Whether git is there and knows what is asked of it. `path`: where programs are looked for."""
    found = shutil.which("git", path=path)
    remedy = f"Install git {'.'.join(map(str, GIT))} or newer."
    if found is None:
        return Finding("git", Level.WRONG, "git is not installed: no source can be taken", remedy)
    try:
        ended = subprocess.run(
            [found, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("git", Level.WRONG, f"{found} does not run: {error}", remedy)
    version = re.search(r"(\d+)\.(\d+)[\d.]*", ended.stdout)
    if version is None or (int(version[1]), int(version[2])) < GIT:
        return Finding("git", Level.WRONG, f"{found} is too old: {ended.stdout.strip()}", remedy)
    return Finding("git", Level.OK, f"git {version[0].rstrip('.')}")


def clock(answered: str | None, now: datetime | None = None) -> Finding | None:
    """Whether this clock is the server's, by the `Date` of an answer that came just now; None without one."""
    try:
        there = parsedate_to_datetime(answered or "")
    except ValueError:
        return None
    off = abs(((now or datetime.now(UTC)) - there).total_seconds())
    if off > SKEW:
        return Finding(
            "time",
            Level.WARNING,
            f"this host's clock and the server's differ by {off:.0f} s",
            "Run an NTP client on both.",
        )
    return Finding("time", Level.OK, "this host and the server agree on the time")


async def database(settings: Settings) -> Sequence[Finding]:
    """What can be seen of the database while no server runs."""
    if settings.database_url is None:
        return [await asyncio.to_thread(_embedded, settings.home / "postgres")]
    from deployd.store import ageing, examining
    from deployd.store.database import Database

    try:
        async with asyncio.timeout(2 * PATIENCE), Database(settings.database_url, size=1) as db:
            checks = (examining.version, examining.durability, examining.connections, examining.clock)
            found = [await check(db) for check in checks]
            found.append(await examining.schema(db))
            if found[-1].level is Level.OK:
                found += [await examining.partitions(db), await examining.held_back(db)]
                found += [await ageing.dead_rows(db), await ageing.transaction_ids(db)]
            return found
    except DeploydError as error:
        return [Finding("database", Level.WRONG, error.message, error.remedy, error.evidence)]
    except TimeoutError:
        return [Finding("database", Level.WRONG, "Postgres does not answer", "Check DEPLOYD_DATABASE_URL.")]


def _embedded(folder: Path) -> Finding:
    """Of the Postgres that deployd runs itself, while it does not run."""
    from deployd.postgres.engine import MAJOR, find_engine

    try:
        find_engine(folder, None)
    except DeploydError as error:
        return Finding("database", Level.WRONG, error.message, error.remedy)
    try:
        version = (folder / "data" / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return Finding("database", Level.OK, "there is none yet; the first start makes one")
    except OSError as error:
        return Finding(
            "database", Level.WRONG, f"{error.filename}: {error.strerror}", "Run deployd as its owner."
        )
    if version != MAJOR:
        return Finding(
            "database",
            Level.WRONG,
            f"{folder} belongs to Postgres {version}; this deployd brings {MAJOR}",
            "Dump it with the deployd that made it and restore it into a new DEPLOYD_HOME.",
        )
    return Finding("database", Level.OK, f"Postgres {MAJOR} in {folder} starts with the server")
