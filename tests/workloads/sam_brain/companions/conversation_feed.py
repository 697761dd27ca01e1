"""The rest of the household: its conversations are added to a JSONL file as they happen.

usage: conversation_feed FILE SECONDS LINES
"""

import json
import sys
import time

from . import lifeline


def conversation(number):
    said = "Remind me of appointment %d, and of what I have to bring." % number
    return json.dumps({"id": number, "prompt": said, "answer": "Of course.", "rating": number % 5})


def main(path, seconds, lines):
    lifeline.announce()
    lifeline.wait_for_go()
    lifeline.hold()
    number = 0
    while True:
        time.sleep(seconds)
        with open(path, "a") as feed:
            for _ in range(lines):
                number += 1
                feed.write(conversation(number) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
