"""Who may come in: networks that are allowed, and the ports through which. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Gate", "is_here"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Gate:
    """What it does not allow is refused."""

    name: str
    allow: tuple[str, ...]
    """Networks in CIDR notation."""
    ports: tuple[int, ...]
    """Of the entrypoint; none: all."""

    def lets_in(self, peer: str, port: int) -> bool:
        """Whether this peer may come in through this port. Whatever cannot be understood may not."""
        if self.ports and port not in self.ports:
            return False
        address = _address(peer)
        return address is not None and any(_holds(one, address) for one in self.allow)


def is_here(peer: str) -> bool:
    """Whether the peer is on this host."""
    address = _address(peer)
    return address is not None and address.is_loopback


@lru_cache(1024)
def _address(text: str) -> Address | None:
    """The address; one of IPv4 that came by an IPv6 socket as what it is."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(1024)
def _network(text: str) -> Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _holds(text: str, address: Address) -> bool:
    network = _network(text)
    return network is not None and address.version == network.version and address in network
