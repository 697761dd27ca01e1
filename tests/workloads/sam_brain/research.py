"""sam-8: the model service works for somebody else, and who asks it meanwhile waits.

The service is busy for 3 of every 5 s (the audit saw up to 120 s). The writer waits with a timeout
so long that it never helps; the indexer has none at all.

Remedy: ask first whether the service is busy, which it answers at once, and come back later if it
is; a timeout of 2 s on everything.
"""

import json
import threading
from urllib.request import urlopen

from . import ollama
from .companion import Companion
from .pace import every

BUSY_SECONDS = 3
IDLE_SECONDS = 2
SECONDS_PER_TASK = 1
LONG_TIMEOUT_SECONDS = 120
SHORT_TIMEOUT_SECONDS = 2


class Writer:
    def __init__(self, model_port):
        self.model_port = model_port
        self.drafts = {}

    def do(self, task):
        prompt = ollama.post(self.model_port, "generate", prompt="Sum up source %d." % task)
        reply = urlopen(prompt, timeout=LONG_TIMEOUT_SECONDS)  # SITE sam-8 slow-call
        with reply:
            self.drafts[task % 10] = json.loads(reply.read())["response"]


class Indexer:
    def __init__(self, model_port):
        self.model_port = model_port
        self.vectors = {}

    def do(self, task):
        prompt = ollama.post(self.model_port, "embeddings", prompt="source %d" % task)
        reply = urlopen(prompt)  # SITE sam-8 missing-timeout
        with reply:
            self.vectors[task % 10] = json.loads(reply.read())["embedding"]


class PatientModel:
    """Asks the service only for what it can do now."""

    def __init__(self, model_port):
        self.model = ollama.KeptConnection(model_port, SHORT_TIMEOUT_SECONDS)
        self.later = []

    def do(self, task):
        self.later.append(task)
        while self.later and not self.model.get("ps")["busy"]:
            self.answer(self.later.pop(0))


class PatientWriter(PatientModel):
    def answer(self, task):
        self.model.post("generate", prompt="Sum up source %d." % task)


class PatientIndexer(PatientModel):
    def answer(self, task):
        self.model.post("embeddings", prompt="source %d" % task)


def keep_doing(worker):
    for task in every(SECONDS_PER_TASK):
        worker.do(task)


def prepare(_, fixed):
    model = Companion("model_service", 0, BUSY_SECONDS, IDLE_SECONDS)
    workers = (PatientWriter, PatientIndexer) if fixed else (Writer, Indexer)

    def work():
        writer, indexer = [worker(model.found["port"]) for worker in workers]
        threading.Thread(target=keep_doing, args=(indexer,), name="indexer", daemon=True).start()
        keep_doing(writer)

    return work
