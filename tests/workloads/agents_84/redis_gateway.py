"""Companion: a Redis server behind a gateway whose handshake takes 150 ms, as over TLS and far.

usage: redis_gateway FOLDER
"""

import asyncio
import os
import subprocess
import sys

import companions

HANDSHAKE_SECONDS = 0.15


class Gateway:
    def __init__(self, redis_path):
        self.redis_path = redis_path

    async def accept(self, reader, writer):
        await asyncio.sleep(HANDSHAKE_SECONDS)
        redis_reader, redis_writer = await asyncio.open_unix_connection(self.redis_path)
        await asyncio.gather(relay(reader, redis_writer), relay(redis_reader, writer))


async def relay(reader, writer):
    try:
        while True:
            data = await reader.read(65536)
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def serve(redis_path):
    while not os.path.exists(redis_path):
        await asyncio.sleep(0.02)
    server = await asyncio.start_server(Gateway(redis_path).accept, "127.0.0.1", 0)
    companions.announce(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


def main(folder):
    companions.die_with_parent()
    path = os.path.join(folder, "redis.socket")
    words = ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no"]
    redis = subprocess.Popen(
        ["redis-server", *words, "--dir", folder],
        stdout=subprocess.DEVNULL,
        preexec_fn=companions.die_with_parent,
    )
    with redis:
        asyncio.run(serve(path))


if __name__ == "__main__":
    main(sys.argv[1])
