"""The least that a Python server can do: read what is new, serialise it once, `send_str` it to everybody.

aiohttp's own websockets, no protocol on top, no permissions, no cursors; it listens for the same hints, and
reads the same rows. What comes while it sends is sent by its next message.
`python -m bench.peers.broadcast DSN PORT`
"""

from __future__ import annotations

import asyncio
import json
import sys

import asyncpg
from aiohttp import web

READ = """
select seq, to_json(at)#>>'{}' as at, machine_id::text as "machineId", upper(kind) as kind,
       to_state as "toState"
from transitions where world_id = (select world_id from worlds where name = 'local') and seq > $1
order by seq limit 500
"""


class Broadcast:
    """Everybody who is connected."""

    def __init__(self) -> None:
        self._sockets: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """One connection."""
        ws = web.WebSocketResponse(compress=False, protocols=["graphql-transport-ws"])
        await ws.prepare(request)
        self._sockets.add(ws)
        try:
            async for _ in ws:
                pass
        finally:
            self._sockets.discard(ws)
        return ws

    async def run(self, dsn: str) -> None:
        """Read at each hint, and once a second."""
        news = asyncio.Event()
        listening, reading = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
        await listening.add_listener("deployd", lambda *_: news.set())
        seq = 0
        while True:
            rows = await reading.fetch(READ, seq)
            if rows:
                seq = rows[-1]["seq"]
                text = json.dumps({"cursor": str(seq), "transitions": [dict(row) for row in rows]})
                for ws in tuple(self._sockets):
                    if not ws.closed:
                        await ws.send_str(text)
                continue
            try:
                async with asyncio.timeout(1):
                    await news.wait()
            except TimeoutError:
                pass
            news.clear()


async def _main(dsn: str, port: int) -> None:
    broadcast = Broadcast()
    app = web.Application()
    app.router.add_get("/", broadcast.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await broadcast.run(dsn)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
