"""aios-2: a synchronous front end calls its asynchronous agent through `asyncio.run`, so each
message pays for a new event loop: a selector, a pair of sockets, and their end.

The remedy is one loop for the front end's life, which the messages come to.
"""

import asyncio
import time

MESSAGES_PER_SECOND = 5
MODEL_SECONDS = 0.02


class Agent:
    """Thinks about a message by two tools at once."""

    async def answer(self, message):
        plan, facts = await asyncio.gather(self.plan(message), self.recall(message))
        return "%s: %s" % (plan, facts)

    async def plan(self, message):
        await asyncio.sleep(MODEL_SECONDS)
        return "plan for " + message

    async def recall(self, message):
        await asyncio.sleep(MODEL_SECONDS / 2)
        return "%d facts" % len(message)


class Inbox:
    """The messages, by number, at their pace."""

    def __init__(self):
        self.started = time.monotonic()
        self.number = 0

    def next(self):
        """The next message, and how long it is until then."""
        self.number += 1
        due = self.started + self.number / MESSAGES_PER_SECOND
        return "message %d" % self.number, max(0, due - time.monotonic())


class FrontEnd:
    def __init__(self, agent, inbox):
        self.agent = agent
        self.inbox = inbox

    def serve(self):
        while True:
            message, seconds = self.inbox.next()
            time.sleep(seconds)
            self.handle(message)

    def handle(self, message):
        return asyncio.run(self.agent.answer(message))  # SITE aios-2 event-loop-churn


class OneLoopFrontEnd(FrontEnd):
    def serve(self):
        asyncio.run(self.serve_in_loop())

    async def serve_in_loop(self):
        while True:
            message, seconds = self.inbox.next()
            await asyncio.sleep(seconds)
            await self.agent.answer(message)


def run(folder, fixed, begin):
    begin()
    front_end = OneLoopFrontEnd if fixed else FrontEnd
    front_end(Agent(), Inbox()).serve()
