"""sam-13: a model stays in memory when nobody asks, and a switch holds two of them.

For 12 s the household talks, and the model is switched every 3 s. Then it is quiet until the end,
which in the audit is the night. A model is 200 MB here, 2 to 5 GB there.

Remedy: the old model goes before the new one comes, and a model that nobody has asked for 3 s goes
(the audit says five minutes).
"""

import time

from .pace import every

MODEL_BYTES = 200_000_000
PIECE_BYTES = 1_000_000
MODELS = ("llama3.2", "qwen2.5", "mistral", "phi3", "gemma2")
SECONDS_PER_SWITCH = 3
QUIET_AFTER_SECONDS = 12
WARM_UP_SECONDS = 1
SECONDS_PER_LOOK = 1


class Model:
    """The weights of a model, in memory of their own."""

    def __init__(self, path):
        self.weights = bytearray(path.stat().st_size)  # SITE sam-13 memory-spike
        view = memoryview(self.weights)
        with open(path, "rb") as file:
            for start in range(0, len(view), PIECE_BYTES):
                file.readinto(view[start : start + PIECE_BYTES])

    def answer(self, question):
        return sum(self.weights[question :: PIECE_BYTES])


class ModelHost:
    """Has a model ready for whoever asks."""

    def __init__(self, folder):
        self.folder = folder
        self.model = None

    def switch(self, name):
        fresh = Model(self.folder / name)
        self.warm_up(fresh)
        self.model = fresh

    def warm_up(self, model):
        model.answer(0)
        time.sleep(WARM_UP_SECONDS)

    def ask(self, question):
        return self.model.answer(question)

    def rest(self):
        """Nobody asks at the moment."""


class ThriftyModelHost(ModelHost):
    IDLE_SECONDS = 3

    def __init__(self, folder):
        super().__init__(folder)
        self.asked = time.monotonic()

    def switch(self, name):
        self.model = None
        self.model = Model(self.folder / name)
        self.warm_up(self.model)

    def ask(self, question):
        self.asked = time.monotonic()
        return super().ask(question)

    def rest(self):
        if time.monotonic() - self.asked > self.IDLE_SECONDS:
            self.model = None


def talk(host):
    """The evening, then the night."""
    switches = iter(MODELS[1:])
    for second in every(SECONDS_PER_LOOK):
        if second >= QUIET_AFTER_SECONDS:
            host.rest()
            continue
        if second % SECONDS_PER_SWITCH == 0:
            host.switch(next(switches))
        host.ask(second)


def prepare(home, fixed):
    for name in MODELS:
        with open(home / name, "wb") as weights:
            weights.truncate(MODEL_BYTES)
    host = (ThriftyModelHost if fixed else ModelHost)(home)
    host.switch(MODELS[0])
    return lambda: talk(host)
