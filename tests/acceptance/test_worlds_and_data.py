"""What differs from world to world, and what becomes of data: real rows in real databases."""

from __future__ import annotations

import re

import pytest

from tests.acceptance.echo import Folder, folder_of_postgres, sql
from tests.acceptance.test_cli import Host, host, until
from tests.acceptance.test_entrypoint import port
from tests.integration.drivers.entrypoint.place import alive

__all__ = ["host", "port"]

RUN = "/usr/bin/python3 -S server.py"
CART = """
    service:
      name: cart
      build: {context: .., dockerfile: cart/Dockerfile}
      port: 8080
      resources: {db: postgres}
      env: {URL: "${resources.db.url}", WORLD: every, LEVEL: info}
    worlds:
      preview: {service: {env: {WORLD: preview}}}
"""
DOCKERFILE = 'FROM python:3.12\nWORKDIR /app\nCOPY server.py ./\nCMD ["python3", "-S", "server.py"]\n'


@pytest.fixture
def folder(host: Host, port: int) -> Folder:
    return Folder(host)


def resource(host: Host, name: str, *argv: str) -> dict[str, object] | None:
    found = [one for one in host.json("resource", "list", *argv) if one["name"] == name]
    return found[0] if found else None


async def test_a_file_beside_each_service_and_a_preview_whose_data_goes_with_it(
    folder: Folder, host: Host
) -> None:
    folder.manifest(CART, "cart/deployd.yaml")
    folder.write("cart/Dockerfile", DOCKERFILE)
    folder.write("web/server.py", (folder.path / "server.py").read_text())
    folder.manifest(f"services: {{web: {{run: {RUN} web, port: 8080}}}}", "web/deployd.yaml")
    folder.deploy()
    assert "preview is there" in host.run("world", "create", "preview", "--ephemeral")
    folder.deploy("--world", "preview")
    preview = ("--world", "preview")
    here, there = folder.env("cart"), folder.env("cart", *preview)
    assert (here["WORLD"], here["LEVEL"]) == ("every", "info")
    assert (there["WORLD"], there["LEVEL"]) == ("preview", "info")
    assert folder.get("web", "/", *preview) == "web"
    for env, number in ((here, 1), (there, 2)):
        await sql(env["URL"], "create table t (n int)", f"insert into t values ({number}) returning n")
    assert await sql(here["URL"], "select max(n) from t") == 1

    data = folder_of_postgres(host, there["URL"])
    pid = int((data / "data" / "postmaster.pid").read_text().split()[0])
    assert alive(pid)
    assert "world preview has ended" in host.run("world", "retire", "preview")
    assert not data.exists()
    assert not alive(pid)
    with pytest.raises(OSError):  # noqa: PT011 - refused: the world's server is gone
        await sql(there["URL"], "select 1")
    assert "preview" not in host.run("world", "list")
    assert await sql(here["URL"], "select max(n) from t") == 1
    said = folder.deploy("--world", "preview", code=2)
    assert "retired" in said


async def test_data_outlives_the_manifest_and_goes_only_by_name(folder: Folder, host: Host) -> None:
    def manifest(more: str) -> None:
        keys = ", ".join(filter(None, (f"run: {RUN}", "port: 8080", more)))
        folder.manifest(f"services:\n  cart: {{{keys}}}\n")

    with_db = 'resources: {db: {slug: postgres, params: {connections: 7}}}, env: {URL: "${resources.db.url}"}'
    manifest(with_db.replace("7", "1000"))
    assert re.search(r"connections: is 1000, would be a whole number .*at most 100", folder.deploy(code=1))
    manifest(with_db)
    folder.deploy()
    url = folder.env("cart")["URL"]
    await sql(url, "create table t (n int)", "insert into t values (42) returning n")
    limits = "select rolconnlimit from pg_roles where rolname = current_user"
    assert await sql(url, limits) == 7
    manifest(with_db.replace("7", "9"))
    folder.deploy()
    assert await sql(url, limits) == 9

    name = str(host.json("resource", "list")[0]["name"])
    assert "cart" in host.run("resource", "delete", name, code=2), "it is refused while a service has it"
    manifest("")
    folder.deploy()
    until(lambda: (resource(host, name) or {}).get("ownership") == "ORPHANED", "it is orphaned")
    assert "orphaned" in host.run("status")
    manifest(with_db)
    folder.deploy()
    again = folder.env("cart")["URL"]
    assert await sql(again, "select n from t") == 42
    found = resource(host, name)
    assert found is not None
    assert found["ownership"] == "MANAGED"

    manifest("")
    folder.deploy()
    until(lambda: (resource(host, name) or {}).get("ownership") == "ORPHANED", "it is orphaned")
    assert f"resource {name} is deleted" in host.run("resource", "delete", name)
    assert resource(host, name) is None
    manifest(with_db)
    folder.deploy()
    assert await sql(folder.env("cart")["URL"], "select to_regclass('t')::text") is None

    manifest("")
    folder.deploy()
    until(lambda: (resource(host, name) or {}).get("ownership") == "ORPHANED", "it is orphaned")
    assert f"resource {name} stands by itself" in host.run("resource", "adopt", name)
    shown = host.run("resource", "show", name)
    assert "managed, stands by itself" in shown
    assert "connections=7" in shown

    # One made by hand is what manifests share; it is changed by hand, in place.
    assert '"conections" is no parameter' in host.run(
        "resource", "create", "orders", "postgres", "--param", "conections=3", code=2
    )
    made = host.run("resource", "create", "orders", "postgres", "--param", "connections=3")
    assert made == "resource orders is ready\n"
    manifest('resources: {db: {slug: postgres, shared: orders}}, env: {URL: "${resources.db.url}"}')
    folder.deploy()
    url = folder.env("cart")["URL"]
    await sql(url, "create table t (n int)", "insert into t values (42) returning n")
    assert await sql(url, limits) == 3
    host.run("resource", "update", "orders", "--param", "connections=5")
    assert await sql(url, limits) == 5
    assert await sql(url, "select n from t") == 42
    manifest("")
    folder.deploy()
    until(lambda: (resource(host, "orders") or {}).get("services") == [], "no service has it")
    found = resource(host, "orders")
    assert found is not None
    assert (found["ownership"], found["health"]) == ("MANAGED", "HEALTHY")
    for one in (name, "orders"):
        host.run("resource", "delete", one)
