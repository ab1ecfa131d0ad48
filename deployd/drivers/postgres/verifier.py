"""SCRAM-SHA-256 verifiers (RFC 5803, as Postgres keeps them), made here so that no password reaches a server.

What is sent to set a password may end up in a server's log or activity view; a verifier gives nothing away.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os

__all__ = ["fits", "verifier"]

ITERATIONS = 4096
SALT_BYTES = 16


def verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """What Postgres stores for this password, which has to be ASCII (others would need normalising)."""
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    stored = hashlib.sha256(client).digest()
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored)}:{_text(server)}"


def fits(stored: str | None, password: str) -> bool:
    """Whether what Postgres stores is for this password."""
    try:
        kind, parameters, _ = (stored or "").split("$")
        iterations, _, salt = parameters.partition(":")
        if kind != "SCRAM-SHA-256":
            return False
        made = verifier(password, base64.b64decode(salt, validate=True), int(iterations))
    except (ValueError, binascii.Error):
        return False  # nothing of this kind
    return hmac.compare_digest(made, stored or "")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
