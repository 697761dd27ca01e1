"""sam-10: should_train() reads all training data to count it, start_training() reads it again.

New examples come every 2.5 s (in the audit: in hours); the trainer notices them by the file's size.

Remedy: what should_train() has read is handed on.
"""

import json

from .companion import Companion
from .companions.conversation_feed import conversation
from .pace import every

EXAMPLES_AT_FIRST = 20_000
SECONDS_PER_LOOK = 0.5
SECONDS_PER_EXAMPLES = 2.5
NEW_EXAMPLES = 50


class Trainer:
    def __init__(self, dataset):
        self.dataset = dataset
        self.size = 0
        self.trained = 0
        self.quality = 0

    def look(self):
        size = self.dataset.stat().st_size
        if size != self.size:
            self.size = size
            self.consider()

    def consider(self):
        if self.should_train():
            self.start_training()

    def should_train(self):
        with open(self.dataset) as dataset:
            return len(dataset.readlines()) - self.trained >= NEW_EXAMPLES

    def start_training(self):
        with open(self.dataset) as dataset:
            examples = dataset.readlines()  # SITE sam-10 repeated-read
        self.train(examples)

    def train(self, examples):
        for example in examples[self.trained :]:
            self.quality += json.loads(example)["rating"]
        self.trained = len(examples)


class OnceReadingTrainer(Trainer):
    def consider(self):
        with open(self.dataset) as dataset:
            examples = dataset.readlines()
        if len(examples) - self.trained >= NEW_EXAMPLES:
            self.train(examples)


def write_dataset(path):
    with open(path, "w") as dataset:
        for number in range(EXAMPLES_AT_FIRST):
            dataset.write(conversation(number) + "\n")


def prepare(home, fixed):
    dataset = home / "training.jsonl"
    write_dataset(dataset)
    feed = Companion("conversation_feed", dataset, SECONDS_PER_EXAMPLES, NEW_EXAMPLES)

    def work():
        feed.go()
        trainer = (OnceReadingTrainer if fixed else Trainer)(dataset)
        for _ in every(SECONDS_PER_LOOK):
            trainer.look()

    return work
