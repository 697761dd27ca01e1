"""agents-1: a research agent that waits for each remote service in turn.

The remedy is the audit's: the same calls awaited, on connections that are kept.
"""

import asyncio
import time

import aiohttp
import requests

PAUSE_SECONDS = 0.5


class ResearchAgent:
    def __init__(self, session, services):
        self.session = session
        self.services = services

    def answer(self, question):
        length = self.count_tokens(question)
        passages = self.search(question)
        return self.generate(question, passages, length)

    def generate(self, question, passages, length):
        prompt = {"prompt": question, "context": passages, "tokens": length}
        url = self.services + "/generate"
        # critical: more than 1 s
        reply = self.session.post(url, json=prompt, timeout=10)  # SITE agents-1 slow-call 1
        return reply.json()

    def search(self, question):
        url = self.services + "/search"
        # high: 100 ms to 1 s
        reply = self.session.post(url, json=question, timeout=10)  # SITE agents-1 slow-call 2
        return reply.json()["items"]

    def count_tokens(self, question):
        url = self.services + "/tokens"
        # medium: 10 ms to 100 ms
        reply = self.session.post(url, json=question, timeout=10)  # SITE agents-1 slow-call 3
        return len(reply.json()["items"])


class AsyncResearchAgent:
    def __init__(self, session, services):
        self.session = session
        self.services = services

    async def answer(self, question):
        length, passages = await asyncio.gather(
            self.post("/tokens", question), self.post("/search", question)
        )
        prompt = {"prompt": question, "context": passages["items"], "tokens": len(length["items"])}
        return await self.post("/generate", prompt)

    async def post(self, path, body):
        async with self.session.post(self.services + path, json=body) as reply:
            return await reply.json()


async def research(services, questions):
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        agent = AsyncResearchAgent(session, services)
        for question in questions:
            await agent.answer(question)
            await asyncio.sleep(PAUSE_SECONDS)


def questions():
    number = 0
    while True:
        number += 1
        yield "what did agent %d find?" % number


def run(session, fixed):
    services = session.start_companion("agents_84.remote_services")
    if fixed:
        session.begin()
        asyncio.run(research(services, questions()))
        return
    with requests.Session() as connections:
        agent = ResearchAgent(connections, services)
        session.begin()
        for question in questions():
            agent.answer(question)
            time.sleep(PAUSE_SECONDS)
