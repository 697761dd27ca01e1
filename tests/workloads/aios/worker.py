"""aios-3: the background worker looks at its queue a hundred times a second, and it is empty.

The remedy is a queue that the worker can block on: it wakes up once for a job.
"""

import collections
import hashlib
import queue
import threading
import time

from audited import pace

SECONDS_BETWEEN_JOBS = 1.5
POLL_SECONDS = 0.01


class Worker(threading.Thread):
    """Indexes documents beside the assistant."""

    def __init__(self):
        super().__init__(name="index-worker", daemon=True)
        self.jobs = collections.deque()
        self.done = 0

    def submit(self, document):
        self.jobs.append(document)

    def run(self):
        while True:
            self.index(self.take())

    def take(self):
        while not self.jobs:
            time.sleep(POLL_SECONDS)  # SITE aios-3 busy-poll
        return self.jobs.popleft()

    def index(self, document):
        hashlib.sha256(document.encode()).hexdigest()
        self.done += 1


class BlockingWorker(Worker):
    def __init__(self):
        super().__init__()
        self.jobs = queue.Queue()

    def submit(self, document):
        self.jobs.put(document)

    def take(self):
        return self.jobs.get()


def run(folder, fixed, begin):
    worker = BlockingWorker() if fixed else Worker()
    begin()
    worker.start()
    for number in pace.every(SECONDS_BETWEEN_JOBS):
        worker.submit("document %d" % number)
