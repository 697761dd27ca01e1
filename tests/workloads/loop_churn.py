"""A new loop of uvloop's for each message, made in one of the ways that there are.

usage: loop_churn.py {run|policy|factory}
"""

import asyncio
import sys
import time

import uvloop

import handshake

SECONDS_BETWEEN_MESSAGES = 0.2


async def handle():
    await asyncio.sleep(0.001)


def run():
    uvloop.run(handle())  # SITE run


def policy():
    asyncio.run(handle())  # SITE policy


def factory():
    loop = uvloop.new_event_loop()  # SITE factory
    loop.run_until_complete(handle())
    loop.close()


WAYS = {"run": run, "policy": policy, "factory": factory}


def main():
    way = WAYS[sys.argv[1]]
    if way is policy:
        uvloop.install()
    handshake.start()
    while True:
        way()
        time.sleep(SECONDS_BETWEEN_MESSAGES)


if __name__ == "__main__":
    main()
