"""sam-11: a log and a JSONL file are appended to for ever.

Ten answers a second with their prompts: 70 MB an hour in each file.

Remedy: both rotate by size. The limit is small here, so that it is reached every few seconds.
"""

import json
import logging
import os
from logging.handlers import RotatingFileHandler

from .pace import every

SECONDS_PER_ANSWER = 0.1
PROMPT = "What do I have to know about tomorrow? " * 50
LIMIT_BYTES = 100_000
KEPT_FILES = 3


class InteractionFile:
    """One JSON object a line, appended."""

    def __init__(self, path):
        self.path = path

    def add(self, interaction):
        with open(self.path, "a") as interactions:
            interactions.write(json.dumps(interaction) + "\n")
            interactions.flush()  # SITE sam-11 unbounded-append 1


class RotatingInteractionFile(InteractionFile):
    def add(self, interaction):
        if self.path.exists() and self.path.stat().st_size > LIMIT_BYTES:
            self.rotate()
        super().add(interaction)

    def rotate(self):
        for age in range(KEPT_FILES - 1, 0, -1):
            if self.aged(age).exists():
                os.replace(self.aged(age), self.aged(age + 1))
        os.replace(self.path, self.aged(1))

    def aged(self, age):
        return self.path.with_name("%s.%d" % (self.path.name, age))


class Brain:
    def __init__(self, log, interactions):
        self.log = log
        self.interactions = interactions

    def answer(self, number):
        self.log.info("answered %d: %s", number, PROMPT)  # SITE sam-11 unbounded-append 2
        self.interactions.add({"number": number, "prompt": PROMPT})


def log_to(handler):
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    log = logging.getLogger("sam.brain")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    return log


def prepare(home, fixed):
    def work():
        path = home / "brain.log"
        if fixed:
            handler = RotatingFileHandler(str(path), "a", LIMIT_BYTES, KEPT_FILES)
            interactions = RotatingInteractionFile(home / "interactions.jsonl")
        else:
            handler = logging.FileHandler(str(path))
            interactions = InteractionFile(home / "interactions.jsonl")
        brain = Brain(log_to(handler), interactions)
        for number in every(SECONDS_PER_ANSWER):
            brain.answer(number)

    return work
