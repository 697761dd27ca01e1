"""An aiohttp server that asks another service for each answer, with one client session."""

import asyncio

import aiohttp
from aiohttp import web


def application(upstream):
    notes = asyncio.Queue(maxsize=1000)

    async def session(app):
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(upstream, timeout=timeout) as app[SESSION]:
            yield

    async def add(request):
        note = await request.json()
        if notes.full():
            notes.get_nowait()
        notes.put_nowait(note["text"])
        return web.json_response({"count": notes.qsize()})

    async def show(request):
        async with request.app[SESSION].get("/notes") as response:
            return web.json_response(await response.json())

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.add_routes([web.post("/notes", add), web.get("/notes", show)])
    return app


SESSION = web.AppKey("session", aiohttp.ClientSession)


def run(stage):
    upstream = stage.service("json_service")
    listener = stage.listen()
    stage.load("http_load", listener.getsockname()[1], 30, 4)
    stage.begin()
    upstream.go()
    app = application("http://127.0.0.1:" + upstream.announced)
    web.run_app(app, sock=listener, print=None, shutdown_timeout=1)
