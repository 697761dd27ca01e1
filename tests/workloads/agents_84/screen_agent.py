"""agents-4: an async agent that waits for the screenshot program on the event loop.

The remedy is the audit's: the same call in an executor, awaited.
"""

import asyncio
import itertools
import subprocess

import companions

SHOT_SECONDS = (0.8, 1.2, 1.8)
PAUSE_SECONDS = 1
HEARTBEAT_SECONDS = 0.1


class ScreenAgent:
    def __init__(self, folder):
        self.folder = folder
        self.bytes_seen = 0

    async def watch(self):
        for number, seconds in enumerate(itertools.cycle(SHOT_SECONDS)):
            picture = self.folder / ("screen-%d.png" % number)
            await self.capture(companions.command("agents_84.screen_grabber", seconds, picture))
            self.bytes_seen += picture.stat().st_size
            picture.unlink()
            await asyncio.sleep(PAUSE_SECONDS)

    async def capture(self, command):
        subprocess.run(command, cwd=companions.HOME, check=True)  # SITE agents-4 event-loop-blocked


class ExecutorScreenAgent(ScreenAgent):
    async def capture(self, command):
        await asyncio.get_running_loop().run_in_executor(None, grab, command)


def grab(command):
    subprocess.run(command, cwd=companions.HOME, check=True)


async def heartbeat():
    """What the other agents of the loop notice: their turns come late."""
    loop = asyncio.get_running_loop()
    latest = 0
    while True:
        due = loop.time() + HEARTBEAT_SECONDS
        await asyncio.sleep(HEARTBEAT_SECONDS)
        latest = max(latest, loop.time() - due)


async def work(agent):
    watching = asyncio.create_task(agent.watch(), name="screen-agent")
    beating = asyncio.create_task(heartbeat(), name="heartbeat")
    await asyncio.gather(watching, beating)


def run(session, fixed):
    agent = (ExecutorScreenAgent if fixed else ScreenAgent)(session.folder)
    session.begin()
    asyncio.run(work(agent))
