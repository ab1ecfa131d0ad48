"""Tokens, permissions and the audit log, from the command line."""

from __future__ import annotations

from tests.acceptance.test_cli import Host, host, until

__all__ = ["host"]


def test_a_token_and_what_may_be_done_with_it(host: Host) -> None:
    host.start("serve")
    until(lambda: host.server() is not None, "the server answers")
    made = host.json("token", "create", "ci", "--only", "local", "--expires", "1h")
    assert made["worlds"] == ["local"]
    host.run("token", "create", "ci", code=2)
    own = dict(host.environ)

    host.environ = own | {"DEPLOYD_TOKEN": made["value"]}
    assert host.run("can-i", "deploy") == "yes: deploy in world local\n"
    assert "token:ci is developer and may not approve" in host.run("can-i", "approve", code=4)
    assert "for world local only" in host.run("can-i", "deploy", "--world", "production", code=4)
    assert "Did you mean deploy?" in host.run("can-i", "deploi", code=2)
    assert host.json("can-i")["actions"]["set-secret"] is True
    assert "may not retire world" in host.run("world", "retire", "local", code=4)
    logs = host.start("logs", "-f", "nothing")
    assert logs.wait(60) == 2

    host.environ = own
    listed = {one["name"]: one for one in host.json("token", "list")}
    assert listed["ci"]["lastUsedAt"] is not None
    assert "counts no more" in host.run("token", "revoke", "ci")
    assert "ci" not in {one["name"] for one in host.json("token", "list")}
    assert "revoked" in host.run("token", "list", "--all")

    host.environ = own | {"DEPLOYD_TOKEN": made["value"]}
    assert "the token is not valid" in host.run("status", code=4)

    host.environ = own
    record = host.json("audit", "--everywhere")
    assert made["value"] not in str(record)
    said = [(one["actor"], one["action"], one["outcome"]) for one in record]
    assert ("token:ci", "retireWorld", "REFUSED") in said
    assert said[-1][1:] == ("createToken", "DONE")
    assert "retireWorld" in host.run("audit", "--actor", "token:ci")
