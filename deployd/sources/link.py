"""Whether a symbolic link leads out of its tree, found without a file system."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["leads_out"]

HOPS_MAXIMUM = 40
"""As many links as Linux follows on one path."""


def leads_out(link: str, links: Mapping[str, str]) -> bool:
    """Whether following `link` leaves the tree; `links` are all links of the tree, path to target.

    Links on the way are followed as the kernel does: with `up -> ..` beside it, `up/..` is two levels up.
    A path that meets more than HOPS_MAXIMUM links leads nowhere, hence not out.
    """
    here = link.split("/")[:-1]
    ahead = links[link].split("/")[::-1]
    if links[link].startswith("/"):
        return True
    hops = 1
    while ahead:
        name = ahead.pop()
        if name in ("", "."):
            continue
        if name == "..":
            if not here:
                return True
            here.pop()
            continue
        target = links.get("/".join((*here, name)))
        if target is None:
            here.append(name)
            continue
        hops += 1
        if target.startswith("/"):
            return True
        if hops > HOPS_MAXIMUM:
            return False
        ahead += target.split("/")[::-1]
    return False
