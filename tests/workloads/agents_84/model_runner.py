"""agents-2: the model is loaded while everything waits, and beside the one it replaces.

The audit's reloads are hours apart; here one follows 1.5 s after the other. The remedy is the
audit's: the load happens in the background (the store's process unpacks into a file), and the
file is mapped, so that only what is used gets resident and the old model goes first.
"""

import mmap
import os
import socket
import time

WARM_UP_PROMPTS = 10
PROMPTS_PER_MODEL = 5
PROMPT_SECONDS = 0.1


class Model:
    """Weights that can be asked."""

    def __init__(self, weights):
        self.weights = weights

    def answer(self, number):
        stride = len(self.weights) // 64
        return sum(self.weights[number % 4096 + layer * stride] for layer in range(64))


class BlockingRunner:
    def __init__(self, store):
        self.store = store
        self.model = None

    def reload(self, version):
        fresh = Model(self.load(version))
        ask(fresh, WARM_UP_PROMPTS)
        self.model = fresh

    def load(self, version):
        self.store.sendall(b"%d\n" % version)
        header = self.store.recv(8, socket.MSG_WAITALL)  # SITE agents-2 slow-call
        weights = bytearray(int.from_bytes(header, "big"))  # SITE agents-2 memory-spike
        self.store.recv_into(weights, len(weights), socket.MSG_WAITALL)
        return weights


class MappingRunner:
    def __init__(self, folder):
        self.folder = folder
        self.version = 0
        self.model = None

    def take_fresh(self):
        """Replaces the model if the store has published a newer one."""
        path = str(self.folder / ("weights-%d" % (self.version + 1)))
        if not os.path.exists(path):
            return
        if self.model:
            self.model.weights.close()
        with open(path, "rb") as weights:
            self.model = Model(mmap.mmap(weights.fileno(), 0, access=mmap.ACCESS_READ))
        self.version += 1


def ask(model, prompts):
    for number in range(prompts):
        model.answer(number)
        time.sleep(PROMPT_SECONDS)


def run_blocking(session):
    port = session.start_companion("agents_84.model_store", "send")
    with socket.create_connection(("127.0.0.1", int(port))) as store:
        runner = BlockingRunner(store)
        session.begin()
        version = 0
        while True:
            version += 1
            runner.reload(version)
            ask(runner.model, PROMPTS_PER_MODEL)


def run_mapping(session):
    runner = MappingRunner(session.folder)
    session.start_companion("agents_84.model_store", "publish", session.folder)
    session.begin()
    while True:
        runner.take_fresh()
        if runner.model:
            ask(runner.model, PROMPTS_PER_MODEL)
        else:
            time.sleep(PROMPT_SECONDS)


def run(session, fixed):
    run_mapping(session) if fixed else run_blocking(session)
