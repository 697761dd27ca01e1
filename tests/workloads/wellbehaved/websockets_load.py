"""Who listens to `websockets_feed`: `python -m wellbehaved.websockets_load PORT CLIENTS WORK`."""

import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from audited import companion
from wellbehaved.work import Work

NEWS_BETWEEN_WORDS = 20


async def listen(port, work):
    async with connect("ws://127.0.0.1:%d" % port, proxy=None) as connection:
        async for message in connection:
            news = json.loads(message)
            work.did()
            if news.get("number", 1) % NEWS_BETWEEN_WORDS == 0:
                await connection.send("thank you")


async def main():
    port, clients = map(int, sys.argv[1:3])
    work = Work(sys.argv[3])
    companion.announce()
    await asyncio.gather(*(listen(port, work) for _ in range(clients)))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (ConnectionClosed, ConnectionError):
        # The server ends before its listeners do.
        sys.exit(0)
