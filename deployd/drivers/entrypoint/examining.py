"""Whether the local addresses can be had, and who else has their port."""

from __future__ import annotations

from deployd.drivers.entrypoint.client import Client
from deployd.drivers.entrypoint.config import Config
from deployd.drivers.port_holder import holder
from deployd.model.finding import Finding, Level

__all__ = ["examine"]


def examine(client: Client, config: Config) -> Finding:
    """Asks the proxy, where one runs; else looks at the port. Blocks for a short time."""
    if not config.port:
        return Finding("entrypoint", Level.OK, "there are no local addresses: DEPLOYD_ENTRYPOINT_PORT is 0")
    state = client.ask("")
    if state is None:
        if (who := holder(config.port)) is not None:
            return _taken(config, who)
        return Finding("entrypoint", Level.OK, f"port {config.port} is free: nothing is routed now")
    if (why := state.failed.get(f"{config.listen}:{config.port}")) is not None:
        return _taken(config, holder(config.port) or why)
    inner = [at for at in state.failed if at != f"{config.listen}:{config.port}"]
    if inner:
        return Finding(
            "entrypoint",
            Level.WRONG,
            f"internal addresses cannot be had: {', '.join(inner)}",
            "Free these ports; services keep theirs, since others were told them.",
            "\n".join(f"{at}: {state.failed[at]}" for at in inner),
        )
    return Finding("entrypoint", Level.OK, f"port {config.port} is the proxy's (process {state.pid})")


def _taken(config: Config, who: str) -> Finding:
    return Finding(
        "entrypoint",
        Level.WRONG,
        f"port {config.port} of {config.listen} cannot be had: {who}",
        "Set DEPLOYD_ENTRYPOINT_PORT to a free port (0: no local addresses), or end what holds it.",
    )
