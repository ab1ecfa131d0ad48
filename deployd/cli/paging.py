"""Lists that the server gives page by page, as whole lists."""

from __future__ import annotations

from typing import Any

from deployd.cli import documents
from deployd.cli.client import Client, Json

__all__ = ["all_of", "lists", "whole_worlds"]


def lists(value: Any) -> Any:
    """The answer with each connection as the list of its items: those of the page that was asked for."""
    if isinstance(value, dict):
        if "nodes" in value:
            return [lists(one) for one in value["nodes"]]
        return {key: lists(one) for key, one in value.items()}
    return [lists(one) for one in value] if isinstance(value, list) else value


async def all_of(
    client: Client, document: str, variables: Json, *path: str, most: int | None = None
) -> list[Json] | None:
    """All items (or the first `most`) of the connection at this path of the answer.

    The document takes `after`. None where something on the way there is null: there is no such world, or
    service.
    """
    found: list[Json] = []
    after = None
    while True:
        page: Any = await client.query(document, {**variables, "after": after})
        for key in path:
            page = page[key]
            if page is None:
                return None
        found += lists(page["nodes"])
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"] or (most is not None and len(found) >= most):
            return found if most is None else found[:most]


async def whole_worlds(client: Client) -> list[Json]:
    """All worlds, with the names of all their services and resources. One request, where they are small."""
    worlds: list[Json] = (await client.query(documents.WORLDS))["worlds"]
    rest = {"services": documents.WORLD_SERVICES, "resources": documents.WORLD_RESOURCES}
    made: list[Json] = []
    for one in worlds:
        whole: Json = lists(one)
        for key, document in rest.items():
            if one[key]["pageInfo"]["hasNextPage"]:
                whole[key] = await all_of(client, document, {"world": one["name"]}, "world", key) or []
        made.append(whole)
    return made
