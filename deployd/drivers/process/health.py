"""How an instance does, judged by what its supervisor said and what it answered: pure."""

from __future__ import annotations

from datetime import UTC, datetime

from deployd.drivers.api import InstanceStatus
from deployd.drivers.process.client import Instance
from deployd.drivers.process.instance import Start, Status
from deployd.drivers.process.probe import Answer
from deployd.model.reason import Fault, Reason
from deployd.model.state import Health

__all__ = ["LOOP", "STEADY", "address", "judge", "last_words"]

STEADY = 2.0
"""Seconds up after which a service without ports does well; after several exits it takes five times that."""
LOOP = 3
"""Exits in a row that are a loop …"""
FORGIVEN = 60.0
"""… unless it is up for so many seconds."""


def address(start: Start) -> str | None:
    """Where it answers: its first port, as a URL."""
    for name, port in start.ports.items():
        web = start.health is not None or not name.startswith(("tcp", "grpc"))
        return f"{'http' if web else 'tcp'}://127.0.0.1:{port}"
    return None


def judge(
    instance: Instance, answer: Answer | None, listening: tuple[int, ...] | None, now: float
) -> InstanceStatus:
    """`answer`: to what was asked while it ran; `listening`: its ports as seen, None while it begins."""
    health, reason = _judge(instance, answer, listening, now)
    start, status = instance.start, instance.status
    return InstanceStatus(
        instance=start.name,
        release_id=instance.release_id,
        health=health,
        address=address(start),
        pid=status.pid if instance.alive and status.pid else None,
        started_at=datetime.fromtimestamp(status.started_at, UTC) if status.started_at else None,
        restarts=status.restarts,
        reason=reason,
    )


def _judge(
    instance: Instance, answer: Answer | None, listening: tuple[int, ...] | None, now: float
) -> tuple[Health, Reason | None]:
    start, status = instance.start, instance.status
    if not instance.alive:
        return Health.MISSING, Reason(
            code="SUPERVISOR_GONE",
            summary=f"{start.name} does not run: its supervisor is gone",
            evidence=last_words(status),
            remedy="Nothing, if the machine was restarted: it is started again. Else look for who killed it.",
            fault=Fault.ERRORED,
        )
    if instance.stopping or status.state in {"stopping", "stopped"}:
        return Health.PROGRESSING, Reason(code="STOPPING", summary=f"{start.name} is being stopped")
    up = now - status.started_at
    looping = status.failures >= LOOP and (status.state == "backoff" or up < FORGIVEN)
    if status.state == "backoff":
        return (Health.DEGRADED if looping else Health.PROGRESSING), _exited(start, status)
    if answer is None:
        if up >= (STEADY if not looping else 5 * STEADY):
            return Health.HEALTHY, None
    elif answer.well:
        return Health.HEALTHY, None
    if looping:
        return Health.DEGRADED, _exited(start, status)
    if answer is None:
        return Health.PROGRESSING, _exited(start, status) if status.failures else None
    fresh = status.failures > 0 and answer.refused and up < 5 * STEADY
    if listening is None and not fresh and not instance.was_healthy:
        return Health.PROGRESSING, None
    reason = _exited(start, status) if fresh else _unwell(start, answer, listening or ())
    return (Health.DEGRADED if instance.was_healthy else Health.PROGRESSING), reason


def _exited(start: Start, status: Status) -> Reason:
    """Why it does not stay up."""
    ended = status.exit or {}
    remedy = "Read its last lines, mend the program or its settings, and deploy again."
    if "error" in ended:
        how = f"could not be executed: {ended['error']}"
        remedy = "Check that the program and its interpreter are on this machine and may be executed."
    elif "signal" in ended:
        how = f"was killed by signal {ended['signal']}"
        if ended["signal"] == 9 and start.memory:
            remedy = "Somebody killed it, perhaps the machine for want of memory: see `size.memory`."
    elif ended.get("code") == 0:
        how = "ended by itself (exit code 0)"
        remedy = (
            "A service has to stay in the foreground: start the program so that it does not end or detach."
        )
    else:
        how = f"exited with code {ended.get('code')}"
    times = f", {status.failures} times in a row" if status.failures > 1 else ""
    return Reason(
        code="CRASH_LOOP" if status.failures >= LOOP else "EXITED",
        summary=f"{start.name} (`{start.text}`) {how}{times}",
        evidence=last_words(status),
        remedy=remedy,
        key="run",
    )


def last_words(status: Status) -> str:
    """What it wrote before it last ended."""
    lines = list(status.tail)
    if status.dropped:
        lines.append(f"({status.dropped} lines of output were dropped: the disk did not take them)")
    return "\n".join(lines)


def _unwell(start: Start, answer: Answer, listening: tuple[int, ...]) -> Reason:
    """Why a running program is not healthy."""
    if not answer.refused:
        remedy = (
            "See what it logs, and make it answer 200 to 399 there." if start.health else "See what it logs."
        )
        return Reason(
            "UNHEALTHY",
            f"{start.name} runs but does not do well: {answer.seen}",
            answer.seen,
            remedy,
            key="health",
        )
    name, port = next(iter(start.ports.items()))
    told = start.told_ports.get(name)
    elsewhere = f"; it listens on {', '.join(map(str, listening))}" if listening else ""
    fixed = f", rather than {told}" if told and told in listening else ""
    return Reason(
        code="NOT_LISTENING",
        summary=f"{start.name} runs but does not listen on its port {port}{elsewhere}",
        evidence=answer.seen,
        remedy=f"Make the program listen on the port that the environment variable PORT names{fixed}.",
        key="ports" if len(start.ports) > 1 else "port",
    )
