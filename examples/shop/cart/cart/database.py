"""The way to the database that DATABASE_URL names."""

import os
from urllib.parse import unquote, urlsplit

import pg8000.native


def connect() -> pg8000.native.Connection:
    """A new connection."""
    url = urlsplit(os.environ["DATABASE_URL"])
    return pg8000.native.Connection(
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        host=url.hostname or "",
        port=url.port or 5432,
        database=url.path.lstrip("/"),
    )
