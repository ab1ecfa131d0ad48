"""Everything by which something could leave a server: what is found there, by the name of the place."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg

from deployd.cli.client import Client, Json
from deployd.errors import DeploydError

INTROSPECTION = """{ __schema { queryType { name } subscriptionType { name } types {
  name kind possibleTypes { name }
  fields { name args { name type { kind } defaultValue } type {
    name kind ofType { name kind ofType { name kind ofType { name kind } } } } }
} } }"""
DEPTH = 4
"""Levels of fields: a world's services' deployments' reasons."""


class Schema:
    """What can be asked, by introspection."""

    def __init__(self, answer: Json) -> None:
        schema = answer["__schema"]
        self.types: dict[str, Json] = {one["name"]: one for one in schema["types"]}
        self.queries = self.types[schema["queryType"]["name"]]["fields"]
        self.subscriptions = self.types[schema["subscriptionType"]["name"]]["fields"]

    def document(self, operation: str, field: Json, given: Mapping[str, object]) -> str | None:
        """One that asks for all that the field has; None where it needs what nobody has given."""
        called = self._call(field, given)
        selected = self._select(field["type"], DEPTH, given)
        return None if called is None or selected is None else f"{operation} {{ {called} {selected} }}"

    def _call(self, field: Json, given: Mapping[str, object]) -> str | None:
        arguments = []
        for one in field["args"]:
            if one["name"] in given:
                arguments.append(f"{one['name']}: {json.dumps(given[one['name']])}")
            elif one["type"]["kind"] == "NON_NULL" and one["defaultValue"] is None:
                return None
        return field["name"] + (f"({', '.join(arguments)})" if arguments else "")

    def _select(self, type_: Json, depth: int, given: Mapping[str, object]) -> str | None:
        while type_.get("ofType"):
            type_ = type_["ofType"]
        named = self.types[type_["name"]]
        if named["kind"] in ("UNION", "INTERFACE"):
            parts = [
                f"... on {one['name']} {self._select(one, depth, given)}" for one in named["possibleTypes"]
            ]
            return "{ __typename " + " ".join(parts) + " }"
        if named["kind"] != "OBJECT":
            return ""
        if depth == 0:
            return None
        fields = []
        for one in named["fields"]:
            # Only the root's arguments are known by name; `name` of a field within means something else.
            called, inner = self._call(one, {}), self._select(one["type"], depth - 1, given)
            if called is not None and inner is not None:
                fields.append(f"{called} {inner}")
        return "{ " + " ".join(fields) + " }" if fields else None


async def answers(client: Client, given: list[Mapping[str, object]]) -> dict[str, str]:
    """To every query of the schema, once for each set of arguments with which it can be asked."""
    schema = Schema(await client.query(INTROSPECTION))
    found: dict[str, str] = {}
    for field in schema.queries:
        documents = {schema.document("query", field, one) for one in given} - {None}
        assert documents, f"nobody knows how to ask for {field['name']}"
        for document in documents:
            assert document is not None
            try:
                found[document] = json.dumps(await client.query(document), ensure_ascii=False)
            except DeploydError as error:
                found[document] = f"{error.message} {error.evidence} {error.remedy}"
    return found


async def messages(client: Client, given: list[Mapping[str, object]], seconds: float) -> dict[str, str]:
    """Of every subscription, until none has come for so long."""
    schema = Schema(await client.query(INTROSPECTION))
    found: dict[str, list[str]] = {}

    async def listen(document: str) -> None:
        heard = found.setdefault(document, [])
        async with aclosing(client.subscribe(document, {})) as stream:
            async for one in stream:
                heard.append(json.dumps(one, ensure_ascii=False))

    documents: set[str] = set()
    for field in schema.subscriptions:
        mine = {schema.document("subscription", field, one) for one in given} - {None}
        assert mine, f"nobody knows how to follow {field['name']}"
        documents |= {one for one in mine if one is not None}
    listening = [asyncio.create_task(listen(one)) for one in documents]
    try:
        heard = -1
        while heard != (heard := sum(map(len, found.values()))):
            await asyncio.sleep(seconds)
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
    return {document: "\n".join(heard) for document, heard in found.items()}


async def rows(dsn: str) -> list[tuple[str, bytes]]:
    """Every row of every table, the catalog's (with its statistics of values) too; bytes are in hex there."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "select format('%I.%I', table_schema, table_name) as name from information_schema.tables"
            " where table_type = 'BASE TABLE'"
        )
        found: list[tuple[str, bytes]] = []
        for table in tables:
            lines = await connection.fetch(f"select t::text as line from {table['name']} t")
            found += [(table["name"], str(one["line"]).encode()) for one in lines]
        return found
    finally:
        await connection.close()


def files(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below, with its name."""
    for file in root.rglob("*"):
        try:
            if file.is_file():
                yield str(file), str(file).encode() + file.read_bytes()
        except OSError:
            pass  # it went meanwhile


def command_lines() -> Iterator[tuple[str, bytes]]:
    """Of all processes of this host."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit():
                yield f"command line of {folder.name}", (folder / "cmdline").read_bytes()
        except OSError:
            pass  # it ended meanwhile


def environments(pids: list[int]) -> Iterator[tuple[str, bytes]]:
    """Of these processes."""
    for pid in pids:
        yield f"environment of {pid}", Path(f"/proc/{pid}/environ").read_bytes()


def holding(places: Iterator[tuple[str, bytes]] | list[tuple[str, Any]], canaries: list[str]) -> list[str]:
    """The places that hold one of them, in any form that is easy to turn back."""
    forms = [
        form
        for canary in canaries
        for form in (
            canary.encode(),
            canary.encode().hex().encode(),
            quote(canary, safe="").encode(),
            base64.b64encode(canary.encode()).rstrip(b"="),
            base64.b64encode(b"u:" + canary.encode())[3:-4],
            base64.b64encode(b"us:" + canary.encode())[4:-4],
        )
    ]
    found = []
    for name, content in places:
        raw = content.encode() if isinstance(content, str) else content
        if any(form in raw for form in forms):
            found.append(name)
    return found
