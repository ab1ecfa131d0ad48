"""A foreground `up` is left when what it was started for is not there any more."""

from __future__ import annotations

import shutil
import signal
import time

from tests.acceptance.test_cli import PATIENCE, Host, host, project, until

__all__ = ["host"]

SLOW = """\
import time
time.sleep(4)
exec(open("quick.py").read())
"""


def test_ctrl_c_suspends_what_came_of_a_folder_that_is_gone(host: Host) -> None:
    """It was edited and removed while the first change was under way: what was asked for then is refused."""
    folder = project(host, "project")
    (folder / "server.py").rename(folder / "quick.py")
    (folder / "server.py").write_text(SLOW)
    up = host.start("up", str(folder))
    host.hears(up, "releasing → verifying")
    (folder / "quick.py").write_text((folder / "quick.py").read_text() + "# edited\n")
    time.sleep(1)  # the edit is heard of before its end
    shutil.rmtree(folder)
    host.hears(up, "Ctrl-C ends it")
    host.hears(up, "is gone, so it is not watched any more")
    until(lambda: host.json("status")[0]["state"] == "SERVING", "it serves")
    up.send_signal(signal.SIGINT)
    assert up.wait(PATIENCE) == 0, host.said(up)
    assert "suspending hello" in host.said(up)
    assert host.server() is None
