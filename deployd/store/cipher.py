"""Values as they lie in the database: AES-256-GCM, bound to the row that they belong to.

A sealed value is a byte for the form (1), 8 bytes that name the key, a fresh nonce of 12 bytes, and what
the cipher makes of the value with its tag of 16 bytes. The row's identity is authenticated with it: a value
that was moved to another row does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from typing import TYPE_CHECKING

from deployd.errors import SecretsUnreadable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["KEY_BYTES", "Cipher"]

KEY_BYTES = 32
_FORM = b"\x01"
_NAME = slice(1, 9)
_NONCE = slice(9, 21)
_SEALED = slice(21, None)


class Cipher:
    """Seals and opens with one key. Nothing that it raises or shows holds the key or a value."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 random bytes."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self._name = hmac.digest(key, b"deployd: the name of this key", hashlib.sha256)[:8]

    @property
    def key_name(self) -> str:
        """Which key this is, for people: tells nothing of it."""
        return self._name.hex()

    def seal(self, value: bytes, *row: object) -> bytes:
        """The value, encrypted for this row: its table and its primary key."""
        nonce = os.urandom(12)
        return _FORM + self._name + nonce + self._aead().encrypt(nonce, value, _identity(row))

    def open(self, sealed: bytes, *row: object) -> bytes:
        """What was sealed for this row. Raises SecretsUnreadable: another key, another row, damaged."""
        if sealed[:1] != _FORM:
            raise SecretsUnreadable(
                f"{_shown(row)} is of a form that this version does not know",
                remedy="Run the version of deployd that wrote it, or set the secret again.",
            )
        if (name := sealed[_NAME]) != self._name:
            raise self.other_key(name.hex())
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead().decrypt(sealed[_NONCE], sealed[_SEALED], _identity(row))
        except (InvalidTag, ValueError):
            raise SecretsUnreadable(
                f"{_shown(row)} does not open: it was damaged, or written for another row",
                remedy="Set the secret again, or restore the row from a backup.",
            ) from None

    def digest(self, text: str) -> str:
        """HMAC-SHA256 (RFC 2104): tells two texts apart, and nobody without the key what they are."""
        return hmac.digest(self._key, b"deployd: a digest\0" + text.encode(), hashlib.sha256).hex()

    def _aead(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import (
            AESGCM,
        )  # 20 ms that most starts can do without

        return AESGCM(self._key)

    def other_key(self, name: str) -> SecretsUnreadable:
        """What to say where there are values under the key of this name."""
        return SecretsUnreadable(
            f"the database holds secrets under another key, {name}; this server's is {self.key_name}",
            remedy="Start the server with the key that they were set with: as DEPLOYD_SECRET_KEY, or as "
            "secret.key in its home. A key that is lost takes its values along: delete the rows of the "
            "tables secrets and outputs, and set the secrets again.",
        )


def _identity(row: tuple[object, ...]) -> bytes:
    return json.dumps([str(part) for part in row]).encode()


def _shown(row: tuple[object, ...]) -> str:
    return "the row " + "/".join(str(part) for part in row)
