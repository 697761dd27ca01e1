"""sam-7: fifteen learners, each a thread that asks the model service with `urlopen` twice a second.

Thirty connections a second to the same address, and fifteen stacks for what is mostly waiting.

Remedy: the learners take turns on a pool of three threads, each with one connection that it keeps.
"""

import json
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from urllib.request import urlopen

from . import ollama
from .companion import Companion
from .pace import every

SUBJECTS = (
    "calendar code contacts cooking documents finance health humour mail music "
    "news routines tone vocabulary weather"
).split()
SECONDS_PER_LESSON = 0.5
TIMEOUT_SECONDS = 10
POOLED_THREADS = 3


class Learner:
    """Learns one subject by itself."""

    def __init__(self, subject, model_port):
        self.subject = subject
        self.model_port = model_port
        self.known = []

    def run(self):
        for lesson in every(SECONDS_PER_LESSON):
            self.known = self.embed("%s, lesson %d" % (self.subject, lesson))

    def embed(self, text):
        question = ollama.post(self.model_port, "embeddings", prompt=text)
        reply = urlopen(question, timeout=TIMEOUT_SECONDS)  # SITE sam-7 connection-churn
        with reply:
            return json.loads(reply.read())["embedding"]


def learn_alone(model_port):
    """A thread for each learner."""
    learners = [Learner(subject, model_port) for subject in SUBJECTS]
    threads = [threading.Thread(target=learner.run, daemon=True) for learner in learners]
    for thread in threads:
        thread.start()  # SITE sam-7 thread-sprawl
    for thread in threads:
        thread.join()


class School:
    """A few threads for all learners."""

    def __init__(self, model_port):
        self.model_port = model_port
        self.known = {}
        self.of_thread = threading.local()
        self.pool = ThreadPoolExecutor(POOLED_THREADS, initializer=self.connect)

    def connect(self):
        self.of_thread.model = ollama.KeptConnection(self.model_port, TIMEOUT_SECONDS)

    def run(self):
        for lesson in every(SECONDS_PER_LESSON):
            wait([self.pool.submit(self.learn, subject, lesson) for subject in SUBJECTS])

    def learn(self, subject, lesson):
        text = "%s, lesson %d" % (subject, lesson)
        self.known[subject] = self.of_thread.model.post("embeddings", prompt=text)["embedding"]


def prepare(_, fixed):
    model = Companion("model_service", 0, 0, 0)
    port = model.found["port"]
    return (lambda: School(port).run()) if fixed else (lambda: learn_alone(port))
