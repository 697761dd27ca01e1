"""aios-5: the assistant's memory keeps its last 1,500 entries in a JSONL file, and each store
writes them all.

The remedy appends the new entry to a segment and drops the oldest segment whole: a store costs
what it adds, and the memory is as bounded as before.
"""

import collections
import contextlib
import json
import pathlib

from audited import pace

KEPT_ENTRIES = 1500
SEGMENT_ENTRIES = 25
STORES_PER_SECOND = 5


def entry(number):
    text = "what the user said in turn %d, and what was done about it. " % number
    return {"id": number, "kind": "episode", "text": text * 5}


def line_of(stored):
    return json.dumps(stored) + "\n"


class Memory:
    def __init__(self, folder):
        self.path = pathlib.Path(folder, "memory.jsonl")
        self.entries = collections.deque(maxlen=KEPT_ENTRIES)

    def restore(self, entries):
        self.entries.extend(entries)

    def store(self, new):
        self.entries.append(new)
        lines = "".join(map(line_of, self.entries))
        self.path.write_text(lines)  # SITE aios-5 write-storm

    def close(self):
        """Nothing is open between two stores."""


class SegmentedMemory:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder, "memory")
        self.folder.mkdir()
        self.segments = collections.deque()
        self.stored = 0
        self.segment = None

    def restore(self, entries):
        for restored in entries:
            self.store(restored)

    def store(self, new):
        if self.stored % SEGMENT_ENTRIES == 0:
            self.begin_segment()
        self.segment.write(line_of(new))
        self.segment.flush()
        self.stored += 1

    def close(self):
        if self.segment:
            self.segment.close()

    def begin_segment(self):
        self.close()
        path = self.folder / ("%08d.jsonl" % self.stored)
        self.segment = path.open("a")
        self.segments.append(path)
        if len(self.segments) > KEPT_ENTRIES // SEGMENT_ENTRIES:
            self.segments.popleft().unlink()


def run(folder, fixed, begin):
    with contextlib.closing((SegmentedMemory if fixed else Memory)(folder)) as memory:
        memory.restore(map(entry, range(KEPT_ENTRIES)))
        begin()
        for number in pace.every(1 / STORES_PER_SECOND):
            memory.store(entry(KEPT_ENTRIES + number))
