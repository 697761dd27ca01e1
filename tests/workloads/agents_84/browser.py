"""Program: stands for a headless browser that is driven over a pair of pipes.

Nobody may rely on its going away: it does when it is told to, or 10 s after its last command.

usage: browser COMMANDS_FD REPLIES_FD
"""

import json
import os
import select
import sys

import companions

IDLE_SECONDS = 10


def main():
    companions.die_with_parent()
    commands, replies = int(sys.argv[1]), int(sys.argv[2])
    # The first command may be long in coming: the profiler attaches before it.
    idle_seconds = None
    while select.select([commands], [], [], idle_seconds)[0]:
        idle_seconds = IDLE_SECONDS
        line = os.read(commands, 4096)
        if not line or json.loads(line)["method"] == "quit":
            # At once: its driver waits for it.
            os._exit(0)
        reply = {"title": "Title of " + json.loads(line)["url"]}
        os.write(replies, json.dumps(reply).encode() + b"\n")


if __name__ == "__main__":
    main()
