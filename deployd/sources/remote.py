"""git and other hosts: what it is told, and what its complaints mean. No secret gets into either."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from deployd.errors import Denied, DeploydError, InputError, NotFound, Retryable, Terminal

__all__ = ["configuration", "failure", "scrub", "variables"]

PROTOCOLS = "file:https:ssh"
KEPT = (
    "SSH_AUTH_SOCK",
    "GIT_SSL_CAINFO",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
)
"""Of deployd's own environment, beyond what every git gets."""
CONNECTING = 20
"""Seconds within which ssh has to be connected."""
SILENCE = 30
"""Seconds for which a server over https may send next to nothing."""
EVIDENCE = 2000
"""Characters that are kept of what git said: the last ones."""

_USER_INFORMATION = re.compile(r"(?<=://)[^\s/@'\"]+@")

_DENIED = re.compile(
    r"Permission denied|Authentication failed|could not read (Username|Password)|terminal prompts disabled"
    r"|returned error: 40[137]|Access denied|access denied|Too many authentication failures"
)
_UNKNOWN_HOST_KEY = re.compile(r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED")
_CERTIFICATE = re.compile(r"certificate|SSL_ERROR|gnutls_handshake|server verification failed")
_PASSING = re.compile(
    r"Could not resolve|Temporary failure in name resolution|Connection (refused|timed out|reset|closed)"
    r"|timed out|Failed to connect|Couldn't connect|early EOF|unexpected disconnect|hung up unexpectedly"
    r"|Network is unreachable|No route to host|transfer closed|Operation too slow|RPC failed|Broken pipe"
    r"|returned error: (5\d\d|429)|non-properly terminated|SSL_read"
)
_NOT_THERE = re.compile(
    r"does not appear to be a git repository|[Rr]epository .*not found|returned error: 404|does not exist"
    r"|not a git repository|' not found|No such file or directory"
)
_OUR_DISK = re.compile(r"No space left on device|Disk quota exceeded|Read-only file system")


def configuration(credentials: Path) -> str:
    """The content of git's only configuration file.

    The helper only ever reads `credentials`: git itself would have it erase what a server refused.
    """
    store = f"git credential-store --file={shlex.quote(str(credentials))} get"
    helper = f'!f() {{ test "$1" != get || {store}; }}; f'
    quoted = helper.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f'[safe]\n\tdirectory = *\n[credential]\n\thelper = "{quoted}"\n'
        f"[http]\n\tlowSpeedLimit = 1\n\tlowSpeedTime = {SILENCE}\n"
        "[fetch]\n\tunpackLimit = 1\n"  # a pack is there whole or not at all; loose objects one by one
    )


def variables(home: Path, config: Path) -> dict[str, str]:
    """What git and ssh are told for a repository elsewhere: nobody is asked for anything."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    ssh = os.environ.get("GIT_SSH_COMMAND") or "ssh"
    return kept | {
        "HOME": str(home),  # not the user's: there may be a .netrc
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_SSH_VARIANT": "ssh",
        "GIT_SSH_COMMAND": f"{ssh} -o BatchMode=yes -o ConnectTimeout={CONNECTING} -o ServerAliveInterval=15",
    }


def check_credentials(credentials: Path) -> None:
    """Raise Denied where others may read the file, as ssh does with its keys."""
    try:
        mode = credentials.stat().st_mode
    except FileNotFoundError:
        return
    if mode & 0o077:
        raise Denied(
            f"{credentials} may be read by others, so it is not used.", remedy=f"chmod 600 {credentials}"
        )


def scrub(said: str) -> str:
    """What git said, without users, passwords and tokens of addresses."""
    return _USER_INFORMATION.sub("***@", said)[-EVIDENCE:]


def failure(repository: str, said: str) -> DeploydError:
    """What a failed conversation with the repository means."""
    evidence = scrub(said)
    if _OUR_DISK.search(said):
        return Terminal(
            f"{repository} cannot be written to deployd's home.",
            remedy="Make room on its disk, and let the user that runs deployd write there.",
            evidence=evidence,
        )
    if _UNKNOWN_HOST_KEY.search(said):
        return Denied(
            f"The host of {repository} is not known to ssh, or has another key.",
            remedy="Add its key to the known_hosts of the user that runs deployd.",
            evidence=evidence,
        )
    if _DENIED.search(said):
        return Denied(
            f"{repository} does not let deployd in, or does not exist.",
            remedy="Check the address. For ssh, give the user that runs deployd a key; for https, write "
            "https://USER:TOKEN@HOST into the file git-credentials in DEPLOYD_HOME (mode 0600).",
            evidence=evidence,
        )
    if _PASSING.search(said):
        return Retryable(
            f"{repository} cannot be reached.",
            remedy="Check the address, and that this host may connect to it. It is tried again.",
            evidence=evidence,
        )
    if _CERTIFICATE.search(said):
        return Denied(
            f"The certificate of {repository} is not trusted.",
            remedy="Add its authority to this host, or name its file by GIT_SSL_CAINFO.",
            evidence=evidence,
        )
    if _NOT_THERE.search(said):
        return NotFound(
            f"There is no git repository {repository}.", remedy="Check the address.", evidence=evidence
        )
    if "transport" in said and "not allowed" in said:
        return InputError(
            f"{repository} leads to an address that deployd does not fetch from.",
            remedy="Give the address that it leads to, with https:// or ssh://.",
            evidence=evidence,
        )
    return Terminal(f"git cannot fetch from {repository}.", remedy="See what it said.", evidence=evidence)
