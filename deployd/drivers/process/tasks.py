"""Tasks of services: commands that run once, each in a folder of its own, found again by files alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import UUID

from deployd.drivers.api import Done, Failed, Progress, ServiceRef, Wait
from deployd.drivers.process.client import Client, Instance
from deployd.drivers.process.health import last_words
from deployd.drivers.process.instance import Start
from deployd.model.reason import Reason

__all__ = ["AGAIN", "KEPT", "TaskFolders", "judge_task"]

KEPT = 10
"""Tasks that have ended whose folders (and logs) stay, for each service."""
AGAIN = 0.5
"""Seconds until a task that runs is looked at again."""


class TaskFolders:
    """`HOME/tasks/SERVICE/TASK/` for each. Everything here blocks for a short time: call it in a thread."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def _of(self, service: ServiceRef) -> Path:
        return self.client.home / "tasks" / str(service.service_id)

    def find(self, service: ServiceRef, task_id: UUID) -> Instance | None:
        """The task, where it was ever begun and is not pruned."""
        return self.client.instance(self._of(service) / str(task_id), task_id)

    def list(self, service: ServiceRef) -> list[Instance]:
        """All that are there, in no order."""
        folder = self._of(service)
        there = [one for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []
        found = (self.client.instance(one, UUID(one.name)) for one in there)
        return [one for one in found if one is not None]

    def run(self, service: ServiceRef, task_id: UUID, start: Start) -> Instance:
        """Have it run, once: adopted while it runs, left alone when it has ended."""
        found = self.client.run_once(self._of(service) / str(task_id), task_id, start)
        self._prune(service, task_id)
        return found

    def end(self, service: ServiceRef, task_id: UUID) -> Instance | None:
        """Ask it to end; it, where it has not yet."""
        return self.client.end_once(self._of(service) / str(task_id), task_id)

    def _prune(self, service: ServiceRef, keep: UUID) -> None:
        """Let the oldest go of those that have ended."""
        over = [one for one in self.list(service) if not one.alive and one.release_id != keep]
        over.sort(key=lambda one: one.status.started_at, reverse=True)
        for one in over[KEPT:]:
            shutil.rmtree(one.folder, ignore_errors=True)


def judge_task(task: Instance) -> Progress:
    """How a task does, or what came of it."""
    start, ended = task.start, task.status.exit or {}
    if not task.ended:
        if task.alive and not task.stopping:
            return Wait(AGAIN, f"{start.name}: `{start.text}` runs")
        if task.alive:
            return Wait(AGAIN, f"{start.name}: within its grace period of {start.grace_seconds:g} s")
        if not task.stopping:
            return Wait(AGAIN, f"{start.name}: its supervisor is gone, it is started again")
        summary = f"{start.name} (`{start.text}`) was ended before it was done"
        return Failed(Reason("TASK_ENDED", summary, last_words(task.status), "Let it run again."))
    if ended.get("code") == 0 and "timeout" not in ended:
        return Done()
    code, remedy = "TASK_FAILED", "Read its last lines, mend the command or what it works on, and try again."
    if "timeout" in ended:
        code, how = "TASK_TIMEOUT", f"was not done after {ended['timeout']:g} s, and was ended"
        remedy = "See by its last lines what it waited for; give it a longer `timeout` if it needs that."
    elif "error" in ended:
        how = f"could not be executed: {ended['error']}"
        remedy = "Check that the program and its interpreter are on this machine and may be executed."
    elif "signal" in ended:
        how = f"was killed by signal {ended['signal']}"
        if ended["signal"] == 9 and start.memory:
            remedy = "Somebody killed it, perhaps the machine for want of memory: see `size.memory`."
    else:
        how = f"exited with code {ended.get('code')}"
    return Failed(
        Reason(
            code,
            f"{start.name} (`{start.text}`) {how}",
            evidence=last_words(task.status),
            remedy=remedy,
            key=start.task,
        )
    )
