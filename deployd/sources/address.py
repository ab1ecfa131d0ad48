"""What the address of a git repository, and a name in it, may be: checked before git sees them."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from deployd.errors import InputError

__all__ = ["check_ref", "check_repository"]

SCHEMES = ("file", "https", "ssh")
LONGEST = 2048
"""Characters of an address."""
LONGEST_REF = 255

NOT_IN_ADDRESS = re.compile(r"[\s\x00-\x1f\x7f]")
SCP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]*:(?!/)[^-].*")
"""git@host:path, as many hosts show it."""
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
NOT_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)")

KEEP_SECRETS = (
    "Give the address without it, and write https://USER:TOKEN@HOST as a line of its own into the file "
    "git-credentials in DEPLOYD_HOME (mode 0600)."
)
EXAMPLES = "Give an absolute path, or an address with file://, https:// or ssh://."


def check_repository(address: str) -> None:
    """Raise InputError for an address that deployd does not fetch from; no secret of it is ever repeated."""
    if not address or len(address) > LONGEST or NOT_IN_ADDRESS.search(address):
        raise InputError("The repository's address is empty, too long or has spaces in it.", remedy=EXAMPLES)
    if address.startswith("/") or SCP.fullmatch(address):
        return
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise InputError("The repository's address is malformed.", remedy=EXAMPLES) from error
    scheme = parts.scheme.lower()
    _refuse_secrets(scheme, parts)
    if scheme == "http":
        raise InputError(
            f"http://{parts.hostname} would send files and credentials in the clear, so it is refused.",
            remedy="Use https:// or ssh://.",
        )
    if scheme not in SCHEMES or not address.lower().startswith(f"{scheme}://"):
        raise InputError("The repository's address is of no kind that deployd fetches from.", remedy=EXAMPLES)
    if scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise InputError("A file:// address has three slashes and a whole path.", remedy=EXAMPLES)
    elif not HOST.fullmatch(parts.hostname or "") or parts.path.strip("/") == "":
        raise InputError("The repository's address lacks a host or a path.", remedy=EXAMPLES)
    elif parts.username is not None and not USER.fullmatch(parts.username):
        raise InputError("The user in the repository's address is malformed.", remedy=EXAMPLES)


def _refuse_secrets(scheme: str, parts: SplitResult) -> None:
    """A password, and (over https) a user too, since that may be a token; a query, since it may have one."""
    if parts.password is not None or (scheme != "ssh" and "@" in parts.netloc):
        raise InputError("The repository's address has credentials in it.", remedy=KEEP_SECRETS)
    if parts.query or parts.fragment:
        raise InputError("The repository's address has a query or a fragment.", remedy=KEEP_SECRETS)


def check_ref(ref: str) -> None:
    """Raise InputError for what can be the name of no branch, tag or commit."""
    if (
        not ref
        or len(ref) > LONGEST_REF
        or NOT_IN_REF.search(ref)
        or ref.startswith(("-", "/", "."))
        or ref.endswith(("/", "."))
    ):
        raise InputError(
            f"{ref[:LONGEST_REF]!r} is no name of a branch, a tag or a commit.",
            remedy="Give a branch, a tag, or the 40 hexadecimal digits of a commit.",
        )
