"""The servers: each gives a request to the handler in a task whose name is handler-N.

A server is a function of the listening socket, the handler and what to call once it serves.
"""

import asyncio
import itertools

NAMES = ("handler-%d" % number for number in itertools.count(1))


def name_task():
    asyncio.current_task().set_name(next(NAMES))


def plain(listener, handle, serves):
    async def connected(reader, writer):
        name_task()
        await reader.readuntil(b"\r\n\r\n")
        body = str(await handle()).encode()
        head = "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async def serve():
        server = await asyncio.start_server(connected, sock=listener)
        async with server:
            serves()
            await server.serve_forever()

    asyncio.run(serve())


def fastapi_under_uvicorn(loop):
    def serve(listener, handle, serves):
        import uvicorn
        from fastapi import FastAPI

        app = FastAPI()

        @app.get("/")
        async def root():
            name_task()
            return await handle()

        class Server(uvicorn.Server):
            async def startup(self, sockets=None):
                await super().startup(sockets=sockets)
                serves()

        config = uvicorn.Config(
            app, loop=loop, log_level="error", lifespan="off", timeout_graceful_shutdown=1
        )
        Server(config).run(sockets=[listener])

    return serve


def aiohttp(listener, handle, serves):
    from aiohttp import web

    async def root(_):
        name_task()
        return web.json_response(await handle())

    async def serve():
        app = web.Application()
        app.router.add_get("/", root)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            serves()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    asyncio.run(serve())


SERVERS = {
    "plain": plain,
    "uvicorn": fastapi_under_uvicorn("asyncio"),
    "uvloop": fastapi_under_uvicorn("uvloop"),
    "aiohttp": aiohttp,
}
