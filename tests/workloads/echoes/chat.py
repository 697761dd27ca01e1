"""echoes-7: echoes has one worker, and its handler asks the model with a client that blocks: while
one user is answered, the others wait to be accepted, and no number says how many.

The remedy asks with a client that does not block, bounds how many questions are with the model at
once, and says so at `/status`. The model takes a second, and many questions at a time.
"""

import asyncio
import contextlib

import httpx
from fastapi import Body, FastAPI

from audited.companion import Companion
from echoes import server

TIMEOUT_SECONDS = 30
MOST_AT_ONCE = 8


class Model:
    def __init__(self, url):
        self.client = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False)

    async def answer(self, prompt):
        return self.generate(prompt)

    def generate(self, prompt):
        question = {"prompt": prompt}
        reply = self.client.post("/generate", json=question)  # SITE echoes-7 serial-server
        return reply.json()["text"]

    def in_flight(self):
        return None

    async def close(self):
        self.client.close()


class ConcurrentModel:
    def __init__(self, url):
        self.client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False)
        self.asked = 0
        self.turnstile = None

    async def answer(self, prompt):
        # Before Python 3.10 it belongs to the loop that is current when it is made.
        self.turnstile = self.turnstile or asyncio.Semaphore(MOST_AT_ONCE)
        async with self.turnstile:
            self.asked += 1
            try:
                reply = await self.client.post("/generate", json={"prompt": prompt})
                return reply.json()["text"]
            finally:
                self.asked -= 1

    def in_flight(self):
        return self.asked

    async def close(self):
        await self.client.aclose()


def application(model):
    @contextlib.asynccontextmanager
    async def lifespan(_):
        yield
        await model.close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/chat")
    async def chat(question: dict = Body(...)):
        return {"answer": await model.answer(question["text"])}

    @app.get("/status")
    async def status():
        return {"in_flight": model.in_flight()}

    return app


def run(folder, fixed, begin):
    with server.listen() as listener, Companion("echoes.model") as process:
        model = (ConcurrentModel if fixed else Model)("http://127.0.0.1:" + process.announced)
        with Companion("echoes.clients", "crowd", server.port_of(listener)) as users:
            begin()
            process.go()
            users.go()
            server.serve(application(model), listener)
