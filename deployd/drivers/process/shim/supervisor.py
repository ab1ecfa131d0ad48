"""The supervisor of one instance: runs, restarts and ends one program, keeps its output, says how it does.

A task (its spec has a `timeout`) is run once, and never again after its end is on record.

In its folder it finds `spec.json` (what to run). Secret variables are handed to it (handed.py), kept in
memory only, and taken out of whatever it writes. It writes `status.json` and `logs/`; it holds `lock` for its
life, so a second one on the same folder ends at once. With a file `stop` there it starts nothing.
SIGTERM ends the program, then the supervisor. Should it be killed, the kernel kills its program.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import time
from collections import deque
from pathlib import Path

from .files import Segments, Stream, write_whole
from .handed import Handed, take
from .kernel import (
    LINUX,
    birth,
    children,
    die_with_parent,
    end_group,
    gain_nothing,
    keep_orphans,
    limit,
    stat,
)
from .redaction import Redaction

__all__ = ["ALREADY", "BROKEN", "ENDED", "STOPPED", "main"]

ALREADY, STOPPED, BROKEN = 3, 4, 5
"""Exit codes of a start that started nothing: another one runs; it is stopped; it could not."""
ENDED = "ended"
"""The state of a task whose end is on record; what follows from it is final."""
TAIL_LINES = 20
BACKOFF_FIRST, BACKOFF_LAST = 0.2, 30.0
"""Seconds before a restart, doubling."""
STEADY = 60.0
"""Seconds up after which earlier failures are forgotten."""


class Shim:
    """The supervisor's loop. `state` is running, backoff, stopping, stopped or (a task) ended."""

    def __init__(self, folder: Path, handed: Handed) -> None:
        self.folder = folder
        self.handed = handed
        self.redaction = Redaction(handed.hidden)
        self.spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
        self.log = Segments(folder / "logs")
        self.timeout: float | None = self.spec.get("timeout")  # seconds; only a task has one
        self.late = False  # it took longer than that
        self.state = "backoff"
        self.due = 0.0  # on the monotonic clock: the next start, or the end of the grace period
        self.pid = 0
        self.born = ""
        self.began = 0.0
        self.started_at = 0.0
        self.starts = 0
        self.failures = 0
        self.problem = ""  # why the program could not be executed
        self.exit: dict[str, object] | None = None
        self.told = 0  # the dropped lines that the status speaks of
        self.unsaid = False  # the status could not be written
        self.say_again = 0.0
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.last_words: list[str] = []
        self.streams: list[Stream] = []
        self.asked = False
        self.hints = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.hints.setblocking(False)
        self.selector = selectors.DefaultSelector()
        wake, self.wakeup = os.pipe()
        for fd in (wake, self.wakeup):
            os.set_blocking(fd, False)
        self.selector.register(wake, selectors.EVENT_READ)
        signal.set_wakeup_fd(self.wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self.ask)
        for one in (signal.SIGINT, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)

    def ask(self, *_: object) -> None:
        """SIGTERM."""
        self.asked = True

    def say(self, text: str) -> None:
        """A line of the shim's own in the log."""
        self.log.write("d", [self.redaction.text(text.replace("\n", " ")).encode()])

    def report(self, *, strict: bool = False) -> None:
        """Write the status and hint at it. A full disk only delays it, except when `strict`."""
        self.say_again = time.monotonic() + 1.0
        status = {
            "state": self.state,
            "shim": os.getpid(),
            "shim_birth": birth(os.getpid()),
            "pid": self.pid,
            "birth": self.born,
            "started_at": self.started_at,
            "restarts": max(self.starts - 1, 0),
            "failures": self.failures,
            "exit": self.exit,
            "tail": self.last_words,
            "dropped": self.log.dropped,
        }
        try:
            write_whole(self.folder / "status.json", json.dumps(status), durable=self.state == ENDED)
            self.unsaid, self.told = False, self.log.dropped
        except OSError:
            if strict:
                raise
            self.unsaid = True
        try:
            self.hints.sendto(f"{self.spec['world_id']} {self.spec['service_id']}".encode(), "hints.sock")
        except OSError:
            pass  # nobody listens

    def start(self) -> None:
        """Run the program once more."""
        if (self.folder / "stop").exists():
            self.state = "stopped"
            return
        go, release = os.pipe()
        failure, fail = os.pipe()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        me = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(release)  # else it would wait for itself
            self.become(me, go, fail, out_end, err_end)
        for fd in (go, fail, out_end, err_end):
            os.close(fd)
        self.pid, self.born = pid, birth(pid) or ""
        self.state, self.began, self.started_at = "running", time.monotonic(), time.time()
        self.starts += 1
        self.tail.clear()
        self.streams = [Stream(out, "o", self.redaction), Stream(err, "e", self.redaction)]
        for stream in self.streams:
            self.selector.register(stream.fd, selectors.EVENT_READ, stream)
        # The child waits until it is on record; should this process die before, it ends by itself.
        self.report(strict=self.starts == 1)
        os.write(release, b"g")
        os.close(release)
        self.problem = self.redaction.text(os.read(failure, 1000).decode(errors="replace"))
        os.close(failure)
        where = "".join(f", {name} on port {port}" for name, port in self.spec["ports"].items())
        self.say(f"started `{self.spec['text']}` as process {pid}{where}")

    def become(self, parent: int, go: int, fail: int, out: int, err: int) -> None:
        """In the child: turn into the program. Never returns."""
        try:
            spec = self.spec
            os.setsid()
            if os.read(go, 1) != b"g":
                os._exit(BROKEN)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for fd, target in ((nothing, 0), (out, 1), (err, 2)):
                os.dup2(fd, target)
            signal.set_wakeup_fd(-1)
            for one in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP):
                signal.signal(one, signal.SIG_DFL)  # what is ignored would stay so in the program
            os.umask(0o022)
            limit(resource.RLIMIT_CORE, 0)
            limit(resource.RLIMIT_NOFILE, spec["open_files"])
            if spec["memory"]:
                limit(resource.RLIMIT_DATA, spec["memory"])
            if spec["uid"] is not None:
                os.setgroups([])
                os.setgid(spec["uid"])
                os.setuid(spec["uid"])
            gain_nothing()
            die_with_parent()
            if os.getppid() != parent:
                os._exit(BROKEN)
            os.chdir(spec["cwd"])
            env = {**spec["env"], **self.handed.env}
            os.execvpe(spec["argv"][0], spec["argv"], env)  # noqa: S606 - this is what it is for
        except BaseException as error:  # whatever it is, the parent has to hear of it
            os.write(fail, f"{spec['argv'][0]}: {getattr(error, 'strerror', None) or error}".encode()[:1000])
        finally:
            os._exit(127)

    def serve(self, ready: int) -> None:
        """Until it is stopped. Says on `ready` when the first start is on record."""
        while self.state not in {"stopped", ENDED}:
            self.look()
            if ready >= 0:
                os.write(ready, b"r")
                os.close(ready)
                ready = -1
            if (self.unsaid or self.log.dropped != self.told) and time.monotonic() >= self.say_again:
                self.report()
            for key, _ in self.selector.select(self.patience()):
                if isinstance(key.data, Stream):
                    self.take(key.data)
                else:
                    os.read(key.fd, 4096)
        self.report()
        while self.unsaid and self.state == ENDED and not self.asked:
            time.sleep(1.0)  # whoever does not find the end of a task runs it again
            self.report()

    def patience(self) -> float | None:
        """Seconds until something is to be looked at without being told."""
        if self.state in {"stopped", ENDED}:
            return 0.0
        waits = [1.0] if self.unsaid or self.log.dropped != self.told else []
        if self.state != "running":
            waits.append(max(self.due - time.monotonic(), 0.0))
        elif self.timeout is not None:
            waits.append(max(self.began + self.timeout - time.monotonic(), 0.0))
        if self.state == "stopping":
            waits.append(0.25)
        return min(waits, default=None)

    def look(self) -> None:
        """Take the step that is due."""
        over = self.over() if self.pid else True
        now = time.monotonic()
        if self.timeout is not None and self.state == "running" and not over:
            self.late = now - self.began >= self.timeout
        if (self.asked or self.late) and self.state in {"running", "backoff"}:
            self.state, self.due = "stopping", now + self.spec["grace_seconds"]
            if self.pid:
                why = f"not done after {self.timeout:g} s" if self.late else "asked to stop"
                self.say(f"{why}; {self.spec['stop_signal']} to process {self.pid}")
                self.signal_all(signal.Signals[self.spec["stop_signal"]])
                self.report()
        if self.state == "stopping":
            others = [pid for pid in children() if pid != self.pid]
            if not self.pid or (over and not others) or now >= self.due:
                if self.pid and now >= self.due:
                    self.say(f"still there after {self.spec['grace_seconds']:g} s: killed")
                self.finish()
                self.state = ENDED if self.late else "stopped"
                self.exit = {**(self.exit or {}), "timeout": self.timeout} if self.late else self.exit
                self.say("stopped")
        elif self.state == "running" and over:
            self.finish()
            up = now - self.began
            if self.timeout is not None:
                self.state = ENDED
                self.say(f"{describe(self.exit)} after {up:.1f} s")
                return
            self.failures = 1 if up >= STEADY else self.failures + 1
            delay = min(BACKOFF_FIRST * 2 ** min(self.failures - 1, 20), BACKOFF_LAST)
            self.state, self.due = "backoff", now + delay
            self.say(f"{describe(self.exit)} after {up:.1f} s; started again in {delay:g} s")
            self.report()
        elif self.state == "backoff" and now >= self.due:
            self.start()

    def over(self) -> bool:
        """Whether the program ended. It stays a zombie, so that its number and group remain its own."""
        for pid in children():
            if pid != self.pid:
                os.waitpid(pid, os.WNOHANG)
        if LINUX:
            fields = stat(self.pid)
            return fields is None or fields[0] in "ZX"
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid:
            self.note(status)
        return pid != 0

    def signal_all(self, number: int) -> None:
        """To the program's group, and to what left the group and fell to this process."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # macOS says so of a group of zombies
        for pid in children():
            if pid != self.pid:
                os.kill(pid, number)

    def note(self, status: int) -> None:
        """How the program ended."""
        code = os.waitstatus_to_exitcode(status)
        self.exit = {"code": code} if code >= 0 else {"signal": -code}
        if self.problem:
            self.exit = {"error": self.problem}

    def finish(self) -> None:
        """End whatever is left of this run, and take in the last of its output."""
        if not self.pid:
            return
        until = time.monotonic() + 5.0
        while True:
            self.signal_all(signal.SIGKILL)
            if (self.over() and (not LINUX or children() == [self.pid])) or time.monotonic() > until:
                break
            time.sleep(0.005)
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.note(status)
        except ChildProcessError:
            pass
        for stream in list(self.streams):
            for _ in range(64):
                if stream not in self.streams or not self.take(stream):
                    break
            if stream in self.streams:
                self.close(stream)
        self.last_words = list(self.tail)
        self.pid, self.born = 0, ""

    def take(self, stream: Stream) -> bool:
        """Write down what the program wrote; False when there was nothing."""
        lines = stream.read()
        if lines is None:
            self.close(stream)
            return False
        self.log.write(stream.mark, lines)
        self.tail.extend(line.decode(errors="replace") for line in lines)
        return bool(lines)

    def close(self, stream: Stream) -> None:
        """The pipe's end; a last line may lack its end."""
        lines = stream.last()
        self.log.write(stream.mark, lines)
        self.tail.extend(line.decode(errors="replace") for line in lines)
        self.selector.unregister(stream.fd)
        os.close(stream.fd)
        self.streams.remove(stream)


def describe(ended: dict[str, object] | None) -> str:
    """How a program ended, in words."""
    if ended and "signal" in ended:
        number = int(str(ended["signal"]))
        return f"killed by signal {number} ({signal.strsignal(number) or 'without a name'})"
    if ended and "error" in ended:
        return f"could not be started: {ended['error']}"
    return f"exited with code {ended['code']}" if ended else "ended"


def has_ended(folder: Path) -> bool:
    """Whether it is a task that was run to its end before."""
    try:
        return bool(json.loads((folder / "status.json").read_text(encoding="utf-8"))["state"] == ENDED)
    except (OSError, ValueError):
        return False


def main(folder: Path) -> int:
    """Take the folder's lock, go into the background, supervise. Answers 0 once the program is on record."""
    os.umask(0o077)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ALREADY
    if (folder / "stop").exists():
        return STOPPED
    if has_ended(folder):
        return ALREADY
    limit(resource.RLIMIT_CORE, 0)  # no memory of this process on a disk
    try:
        handed = take(0)
    except (ValueError, OSError) as error:
        os.write(2, f"{error}\n".encode())
        return BROKEN
    told, ready = os.pipe()
    if os.fork():
        os.close(ready)
        return 0 if os.read(told, 1) else BROKEN
    os.close(told)
    errors = os.open(folder / "shim.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd, target in ((nothing, 0), (nothing, 1), (errors, 2)):
        os.dup2(fd, target)
    os.chdir(folder.parents[2])  # so that the socket's path is short
    try:
        former = json.loads((folder / "status.json").read_text(encoding="utf-8"))
        spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
        if former["pid"]:
            end_group(former["pid"], former["birth"], spec["uid"])
    except (OSError, ValueError):
        pass
    keep_orphans()
    Shim(folder, handed).serve(ready)
    return 0
