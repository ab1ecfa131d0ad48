"""Running the git program: the same whatever the host or its users have configured, and always ended."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass

from deployd.errors import Retryable, Terminal

__all__ = ["SECONDS_MAXIMUM", "Ended", "expect", "git"]

SECONDS_MAXIMUM = 120.0
"""After so long a command is killed."""

KEPT = ("PATH", "TMPDIR", "LD_LIBRARY_PATH")
"""Of deployd's own environment. No HOME: git would read ignore rules and attributes there."""

SETTINGS = (
    "core.autocrlf=false",
    "core.fileMode=true",
    "core.symlinks=true",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.splitIndex=false",
    "core.fsync=committed,loose-object",  # an object that a power cut emptied would never be written again
    "core.fsyncMethod=batch",
    "advice.addEmbeddedRepo=false",
    "gc.auto=0",
    "safe.directory=*",
)


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ran to its end."""

    status: int
    output: bytes
    said: str
    """What it wrote to stderr, in English."""


async def git(
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    feed: bytes = b"",
    seconds: float | None = None,
    remedy: str = "Name large folders that a service does not need in .gitignore.",
    held: int | None = None,
) -> Ended:
    """Run git and wait for its end; `feed` goes to its stdin. What it writes is readable by everybody.

    Its whole process group is killed when the task is cancelled and after `seconds` (else SECONDS_MAXIMUM):
    Retryable, with the `remedy`. A descriptor that is `held` stays open for as long as git or any child of
    it lives: a lock on it outlives this process. Raises Terminal where git is not installed.
    """
    longest = SECONDS_MAXIMUM if seconds is None else seconds
    process = await start(arguments, environment(variables or {}), () if held is None else (held,))
    try:
        async with asyncio.timeout(longest):
            output, said = await process.communicate(feed)
    except TimeoutError as error:
        raise Retryable(
            f"git {arguments[0]} did not end within {longest:g} seconds.", remedy=remedy
        ) from error
    finally:
        await end(process)
    return Ended(process.returncode or 0, output, said.decode(errors="replace").strip())


async def expect(*arguments: str, variables: Mapping[str, str] | None = None, feed: bytes = b"") -> bytes:
    """The output of a git command that has no reason to fail; Terminal if it does."""
    ended = await git(*arguments, variables=variables, feed=feed)
    if ended.status:
        raise Terminal(
            f"git {arguments[0]} failed with status {ended.status}.",
            remedy="See that the disk is neither full nor broken.",
            evidence=ended.said,
        )
    return ended.output


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """All that git is told, so that nothing of the caller's GIT_… reaches it."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    fixed = {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    return {**kept, **fixed, **variables}


async def start(
    arguments: tuple[str, ...], variables: Mapping[str, str], descriptors: tuple[int, ...]
) -> Process:
    """Start git as the leader of a group of its own."""
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            "git",
            *settings,
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=variables,
            cwd="/",
            start_new_session=True,
            umask=0o022,
            pass_fds=descriptors,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # It may be there already: see it born, or nobody would end it.
        await asyncio.wait([starting])
        if not starting.exception():
            await end(starting.result())
        raise
    except (FileNotFoundError, PermissionError) as error:
        raise Terminal(
            "git cannot be started on this host.",
            remedy="Install git, and see that it is on the PATH of deployd.",
            evidence=str(error),
        ) from error
    except OSError as error:
        raise Retryable("This host cannot start git just now.", evidence=str(error)) from error


async def end(process: Process) -> None:
    """Kill what is left of the group, and wait until its leader is gone."""
    if process.returncode is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended in this moment
    await process.wait()
