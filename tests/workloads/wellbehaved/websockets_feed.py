"""A websockets server: its clients listen for long, and say something now and then."""

import asyncio
import json

from websockets.asyncio.server import broadcast, serve

NEWS_SECONDS = 0.5


async def feed(listener):
    clients = set()

    async def handle(connection):
        clients.add(connection)
        try:
            async for message in connection:
                await connection.send(json.dumps({"heard": len(message)}))
        finally:
            clients.discard(connection)

    async with serve(handle, sock=listener):
        number = 0
        while True:
            await asyncio.sleep(NEWS_SECONDS)
            number += 1
            broadcast(clients, json.dumps({"number": number, "news": "of the world " * 10}))


def run(stage):
    listener = stage.listen()
    stage.load("websockets_load", listener.getsockname()[1], 20)
    stage.begin()
    asyncio.run(feed(listener))
