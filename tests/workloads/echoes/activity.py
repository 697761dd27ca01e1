"""echoes-3: the activity log flushes each statement: a turn makes fifteen, and there are ten turns
a second, so 150 writes of about 150 bytes.

The remedy buffers: it writes when 64 KB have come together, or after 2 s. Both rotate.
"""

import contextlib
import json
import os
import time

from audited import pace

TURNS_PER_SECOND = 10
STATEMENTS_PER_TURN = 15
ROTATED_BYTES = 100000
BUFFERED_BYTES = 65536
BUFFERED_SECONDS = 2


class ActivityLog:
    def __init__(self, folder):
        self.path = os.path.join(folder, "activity.jsonl")
        self.written = 0
        self.stream = self.open()

    def open(self):
        return open(self.path, "a", buffering=BUFFERED_BYTES)

    def log(self, statement):
        line = json.dumps(statement)
        self.write(line)
        self.written += len(line) + 1
        if self.written > ROTATED_BYTES:
            self.rotate()

    def write(self, line):
        print(line, file=self.stream, flush=True)  # SITE echoes-3 write-storm

    def close(self):
        self.stream.close()

    def rotate(self):
        self.stream.close()
        os.replace(self.path, self.path + ".1")
        self.stream = self.open()
        self.written = 0


class BufferedActivityLog(ActivityLog):
    def __init__(self, folder):
        super().__init__(folder)
        self.flushed = time.monotonic()

    def write(self, line):
        print(line, file=self.stream)
        if time.monotonic() - self.flushed > BUFFERED_SECONDS:
            self.stream.flush()
            self.flushed = time.monotonic()


def statement(turn, step):
    return {
        "at": time.time(),
        "turn": turn,
        "step": step,
        "module": "echoes.planner",
        "message": "considered candidate %d of turn %d and went on to the next" % (step, turn),
    }


def run(folder, fixed, begin):
    log = (BufferedActivityLog if fixed else ActivityLog)(folder)
    with contextlib.closing(log):
        begin()
        for turn in pace.every(1 / TURNS_PER_SECOND):
            for step in range(STATEMENTS_PER_TURN):
                log.log(statement(turn, step))
