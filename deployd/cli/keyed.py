"""Mutations under an idempotency key: sent again when no answer came, and carried out once. Pure."""

from __future__ import annotations

import re
import uuid
from typing import Any

__all__ = ["keyed"]

_MUTATION = re.compile(
    r"^\s*mutation\s+\w+\s*(?P<given>\()(?P<rest>.*?\{\s*)(?P<field>\w+)(?P<taken>\()", re.DOTALL
)
_IN_INPUT = ("deploy", "plan")
"""Fields whose input has the key; all others have it as an argument."""


def keyed(document: str, variables: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The document and its variables with a key of its own, unless they have one; None: it takes none.

    Every mutation takes a key, but documents are written without: it says nothing about what is asked.
    """
    parts = _MUTATION.match(document)
    if parts is None:
        return None
    if parts["field"] in _IN_INPUT:
        asked = {"idempotencyKey": uuid.uuid4().hex, **variables["input"]}
        return document, {**variables, "input": asked}
    if "idempotencyKey" not in document:
        given, taken = parts.end("given"), parts.end("taken")
        document = (
            f"{document[:given]}$idempotencyKey: String, {document[given:taken]}"
            f"idempotencyKey: $idempotencyKey, {document[taken:]}"
        )
    return document, {"idempotencyKey": uuid.uuid4().hex, **variables}
