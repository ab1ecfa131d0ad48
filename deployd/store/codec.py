"""The model's dataclasses as JSON, typed both ways. Unknown keys of a newer version are ignored."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from deployd.model.facts import FACTS, Facts
from deployd.model.state import MachineKind

__all__ = ["decode", "decode_facts", "encode", "encode_sorted"]

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_sorted = msgspec.json.Encoder(order="sorted")
_facts = {kind: msgspec.json.Decoder(type_) for kind, type_ in FACTS.items()}
_decoders: dict[object, msgspec.json.Decoder[object]] = {}


def encode(value: object) -> str:
    """JSON text of dataclasses, enums, UUIDs and times."""
    return _encoder.encode(value).decode()


def encode_sorted(value: object) -> str:
    """The same for what is hashed: the database keeps a mapping in an order of its own."""
    return _sorted.encode(value).decode()


def decode(type_: type[T], text: str) -> T:
    """The value that `encode` wrote. Raises msgspec.ValidationError for one of another shape."""
    decoder = _decoders.get(type_)
    if decoder is None:
        decoder = _decoders[type_] = msgspec.json.Decoder(type_)
    return decoder.decode(text)  # type: ignore[return-value]


def decode_facts(kind: MachineKind, text: str) -> Facts:
    """The facts of a machine of this kind."""
    return _facts[kind].decode(text)
