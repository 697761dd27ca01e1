"""The one worker of echoes: uvicorn on a socket that listens before anybody is told its port."""

import socket

import uvicorn

BACKLOG = 64


def listen():
    return socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)


def port_of(listener):
    return listener.getsockname()[1]


def serve(app, listener):
    """Serves until it is interrupted."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        lifespan="on",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])
