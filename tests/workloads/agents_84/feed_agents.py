"""agents-7: async agents that fetch with `requests`, and so stop each other.

The remedy is the audit's: an async client, with one session for all.
"""

import asyncio

import aiohttp
import requests

AGENTS = ("news", "market")
PAUSE_SECONDS = 1


class FeedAgent:
    def __init__(self, feed):
        self.feed = feed
        self.seen = 0

    async def poll(self):
        while True:
            self.seen += len((await self.fetch())["items"])
            await asyncio.sleep(PAUSE_SECONDS)


class RequestsFeedAgent(FeedAgent):
    async def fetch(self):
        reply = requests.get(self.feed, timeout=10)  # SITE agents-7 event-loop-blocked
        return reply.json()


class AsyncFeedAgent(FeedAgent):
    def __init__(self, feed, session):
        super().__init__(feed)
        self.session = session

    async def fetch(self):
        async with self.session.get(self.feed) as reply:
            return await reply.json()


async def poll_all(agents):
    tasks = [
        asyncio.create_task(agent.poll(), name="agent-" + name)
        for name, agent in zip(AGENTS, agents)
    ]
    await asyncio.gather(*tasks)


async def poll_with_requests(feed):
    await poll_all([RequestsFeedAgent(feed) for _ in AGENTS])


async def poll_with_aiohttp(feed):
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        await poll_all([AsyncFeedAgent(feed, session) for _ in AGENTS])


def run(session, fixed):
    feed = session.start_companion("agents_84.remote_services") + "/feed"
    session.begin()
    asyncio.run((poll_with_aiohttp if fixed else poll_with_requests)(feed))
