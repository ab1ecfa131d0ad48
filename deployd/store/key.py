"""The key that secrets are encrypted with, where the settings do not bring one: a file, made once."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from pathlib import Path

from deployd.errors import SettingsError
from deployd.store.cipher import KEY_BYTES

__all__ = ["key_in", "parse_key"]


def parse_key(text: str, where: str) -> bytes:
    """The key that is written as base64. Raises SettingsError that says where, and nothing of the text."""
    try:
        key = base64.b64decode(text.strip().encode(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"{where} is no key: it has to be {KEY_BYTES} bytes in base64",
            remedy="Make one by `head -c 32 /dev/urandom | base64`; where secrets were set already, "
            "it has to be the key of then.",
        )
    return key


def key_in(path: Path) -> bytes:
    """The key in this file; a new one where there is none, for its owner's eyes only and durable.

    Whoever makes it at the same time gets the same one. Raises SettingsError for a file that holds no key.
    """
    if not path.exists():
        _make(path)
    return parse_key(path.read_text(encoding="ascii", errors="replace"), str(path))


def _make(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)  # unlike a rename, it never replaces another one's
        except FileExistsError:
            pass
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
