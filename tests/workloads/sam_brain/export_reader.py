"""sam-9: an export of 100 MB is read whole and cut into lines, to learn from the last few.

The audit has this every 30 minutes; here it is every 5 s, while conversations are added to the
export all the time.

Remedy: the reader keeps the place where it stopped, and goes on from there line by line.
"""

import json

from .companion import Companion
from .companions.conversation_feed import conversation
from .pace import every

EXPORT_BYTES = 100_000_000
SECONDS_PER_READING = 5


class ExportReader:
    def __init__(self, export, place):
        self.export = export
        self.lines_seen = place["lines"]
        self.ratings = 0

    def read(self):
        lines = self.export.read_text().strip().split("\n")  # SITE sam-9 whole-file-read
        for line in lines[self.lines_seen :]:
            self.learn(line)
        self.lines_seen = len(lines)

    def learn(self, line):
        self.ratings += json.loads(line)["rating"]


class ContinuingReader(ExportReader):
    def __init__(self, export, place):
        super().__init__(export, place)
        self.offset = place["bytes"]

    def read(self):
        with open(self.export, "rb") as export:
            export.seek(self.offset)
            for line in export:
                self.learn(line)
                self.offset += len(line)


def write_export(path):
    """The export as it was yesterday, which the reader has learnt from already."""
    block = "".join(conversation(number) + "\n" for number in range(1000))
    blocks = EXPORT_BYTES // len(block) + 1
    with open(path, "w") as export:
        for _ in range(blocks):
            export.write(block)
    return {"lines": blocks * 1000, "bytes": blocks * len(block)}


def prepare(home, fixed):
    export = home / "conversations.jsonl"
    place = write_export(export)
    feed = Companion("conversation_feed", export, 1, 5)

    def work():
        feed.go()
        reader = (ContinuingReader if fixed else ExportReader)(export, place)
        for _ in every(SECONDS_PER_READING):
            reader.read()

    return work
