"""Everything by which something could leave a server: what is found there, by the name of the place."""

from __future__ import annotations

import asyncio
import base64
import json
import re
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
_MEMBERS = 6  # of the largest union
_PATIENCE = 60.0
_FORM = re.compile("the query |Cannot query|conflict|Syntax Error|Unknown|nested too deeply")
"""What is said of documents that are too large, or wrong."""


class Schema:
    """What can be asked, by introspection."""

    def __init__(self, answer: Json) -> None:
        schema = answer["__schema"]
        self.types: dict[str, Json] = {one["name"]: one for one in schema["types"]}
        self.queries = self.types[schema["queryType"]["name"]]["fields"]
        self.subscriptions = self.types[schema["subscriptionType"]["name"]]["fields"]

    def documents(
        self, operation: str, field: Json, given: Mapping[str, object], part: str | None = None
    ) -> list[str]:
        """Those that ask for all that the field has, or for one part of it; none where it needs what
        nobody has given. Of a union each asks for one member, since fields of several may not differ."""
        called = self._call(field, given)
        if called is None:
            return []
        made = (
            f"{operation} {{ {called} {selected} }}"
            for member in range(_MEMBERS)
            if (selected := self._select(field["type"], DEPTH, member, part, whole=part is None)) is not None
        )
        return list(dict.fromkeys(made))

    def parts(self, field: Json) -> list[str]:
        """The names of the fields that its objects have."""
        types = [self.types[_named(field["type"])["name"]]]
        if types[0]["kind"] == "UNION":
            types = [self.types[one["name"]] for one in types[0]["possibleTypes"]]
        return sorted({one["name"] for type_ in types for one in type_["fields"] or ()})

    def _call(self, field: Json, given: Mapping[str, object]) -> str | None:
        arguments = []
        for one in field["args"]:
            if one["name"] in given:
                enum = _named(one["type"])["kind"] == "ENUM"
                value = given[one["name"]]
                arguments.append(f"{one['name']}: {value if enum else json.dumps(value)}")
            elif one["type"]["kind"] == "NON_NULL" and one["defaultValue"] is None:
                return None
        return field["name"] + (f"({', '.join(arguments)})" if arguments else "")

    def _select(
        self, type_: Json, depth: int, member: int, part: str | None = None, *, whole: bool = True
    ) -> str | None:
        named = self.types[_named(type_)["name"]]
        if named["kind"] in ("UNION", "INTERFACE"):
            one = named["possibleTypes"][member % len(named["possibleTypes"])]
            inner = self._select(one, depth, member, part, whole=whole)
            return None if inner is None else f"{{ __typename ... on {one['name']} {inner} }}"
        if named["kind"] != "OBJECT":
            return ""
        if depth == 0:
            return None
        fields = []
        for one in named["fields"]:
            if one["name"] == "node" or (part is not None and one["name"] != part):
                continue  # the item of an edge is among the nodes
            # Only the root's arguments are known by name; `name` of a field within means something else.
            called = self._call(one, {"first": 2 if whole else 1})
            # What Relay wraps around items is no level of its own.
            deeper = depth if one["name"] in ("nodes", "edges") else depth - 1
            inner = self._select(one["type"], deeper, member, whole=whole)
            if called is not None and inner is not None:
                fields.append(f"{called} {inner}")
        return "{ " + " ".join(fields) + " }" if fields else None


def _named(type_: Json) -> Json:
    while type_.get("ofType"):
        type_ = type_["ofType"]
    return type_


async def answers(client: Client, given: list[Mapping[str, object]]) -> dict[str, str]:
    """To every query of the schema, once for each set of arguments with which it can be asked.

    What is too large to be asked at once is asked part by part; nothing may be refused for its form.
    """
    schema = Schema(await client.query(INTROSPECTION))
    found: dict[str, str] = {}
    for field in schema.queries:
        asked = 0
        for one in given:
            for document in schema.documents("query", field, one):
                asked += 1
                if document in found or await _ask(client, document, found):
                    continue
                for part in schema.parts(field):
                    for smaller in schema.documents("query", field, one, part):
                        assert smaller in found or await _ask(client, smaller, found), found.pop(smaller)
        assert asked, f"nobody knows how to ask for {field['name']}"
    return found


async def _ask(client: Client, document: str, found: dict[str, str]) -> bool:
    """Whether it was let through; its answer is among those found."""
    try:
        found[document] = json.dumps(await client.query(document), ensure_ascii=False)
    except DeploydError as error:
        found[document] = f"{error.message} {error.evidence} {error.remedy}"
        return not _FORM.search(error.message)
    return True


async def messages(
    client: Client, given: list[Mapping[str, object]], until: str, quiet: float
) -> dict[str, str]:
    """Of every subscription, until that text was among them and then none came for so many seconds.

    AssertionError: it did not come within `_PATIENCE` seconds.
    """
    schema = Schema(await client.query(INTROSPECTION))
    found: dict[str, list[str]] = {}

    async def listen(document: str) -> None:
        heard = found.setdefault(document, [])
        async with aclosing(client.subscribe(document, {})) as stream:
            async for one in stream:
                heard.append(json.dumps(one, ensure_ascii=False))

    documents: set[str] = set()
    for field in schema.subscriptions:
        mine = {text for one in given for text in schema.documents("subscription", field, one)}
        assert mine, f"nobody knows how to follow {field['name']}"
        documents |= mine
    listening = [asyncio.create_task(listen(one)) for one in documents]
    try:
        async with asyncio.timeout(_PATIENCE):
            while not any(until in one for heard in found.values() for one in heard):
                await asyncio.sleep(quiet)
        count = -1
        while count != (count := sum(map(len, found.values()))):
            await asyncio.sleep(quiet)
    except TimeoutError:
        raise AssertionError(f"no subscription said {until}: {found}") from None
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
