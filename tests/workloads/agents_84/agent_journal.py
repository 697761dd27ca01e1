"""agents-8: 40 agents log each event to a file with a write of its own, and each turn to a
collector behind a pipe, which needs 30 ms a record and lets them wait.

The remedy is the audit's: records are queued, and a writer takes them out in batches.
"""

import os
import queue
import threading
import time

AGENTS = 40
EVENTS_PER_TURN = 4
TURNS_PER_ROUND = 4
ROUND_PAUSE_SECONDS = 0.008
# The pace that the collector gives to the journal that waits for it.
BATCHED_ROUND_PAUSE_SECONDS = 0.12
BATCH_SECONDS = 1


class WriteThroughJournal:
    def __init__(self, file, collector):
        self.file = file
        self.collector = collector

    def event(self, line):
        self.file.write(line + "\n")
        self.file.flush()  # SITE agents-8 write-storm

    def turn(self, line):
        os.write(self.collector, line.encode() + b"\n")  # SITE agents-8 slow-call


class BatchingJournal:
    def __init__(self, file, collector):
        self.file = file
        self.collector = collector
        self.events = queue.SimpleQueue()
        self.turns = queue.SimpleQueue()
        threading.Thread(target=self.write_batches, name="journal", daemon=True).start()

    def event(self, line):
        self.events.put(line + "\n")

    def turn(self, line):
        self.turns.put(line + "\n")

    def write_batches(self):
        while True:
            time.sleep(BATCH_SECONDS)
            self.file.write(drain(self.events))
            self.file.flush()
            os.write(self.collector, drain(self.turns).encode())


def drain(records):
    return "".join(records.get_nowait() for _ in range(records.qsize()))


class Agent:
    def __init__(self, number, journal):
        self.name = "agent-%02d" % number
        self.journal = journal

    def take_turn(self, turn):
        for step in range(EVENTS_PER_TURN):
            self.journal.event("%s turn %d step %d: done" % (self.name, turn, step))
        self.journal.turn("%s turn %d: %d steps" % (self.name, turn, EVENTS_PER_TURN))


def run(session, fixed):
    # Each write is a packet: the collector reads records, not bytes.
    records, collector = os.pipe2(os.O_CLOEXEC | os.O_DIRECT)
    session.start_companion("agents_84.log_collector", stdin=records)
    os.close(records)
    with open(str(session.folder / "agents.log"), "w") as file:
        journal = (BatchingJournal if fixed else WriteThroughJournal)(file, collector)
        agents = [Agent(number, journal) for number in range(AGENTS)]
        session.begin()
        turn = 0
        while True:
            turn += 1
            agents[turn % AGENTS].take_turn(turn)
            if turn % TURNS_PER_ROUND == 0:
                time.sleep(BATCHED_ROUND_PAUSE_SECONDS if fixed else ROUND_PAUSE_SECONDS)
