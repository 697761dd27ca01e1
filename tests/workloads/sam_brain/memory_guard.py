"""sam-2: before each step of an answer the memory is checked, each time by two subprocesses.

Four checks a request, 38 requests a minute: 300 processes a minute to learn two numbers, of which
one never changes.

Remedy: the answer is kept for ten seconds.
"""

import re
import subprocess
import time
from subprocess import PIPE

from . import mac_tools
from .api import ApiServer
from .companion import Companion

PAGE_BYTES = 4096
LEAST_FREE_SHARE = 0.05
STEPS = ("parse", "recall", "answer", "learn")
REST_SECONDS = 1.5


class MemoryGuard:
    """Says whether there is enough memory for another step."""

    def is_enough(self):
        return self.free_bytes() > LEAST_FREE_SHARE * self.total_bytes()

    def free_bytes(self):
        command = ["vm_stat"]
        said = subprocess.run(command, stdout=PIPE).stdout  # SITE sam-2 subprocess-storm 1
        return PAGE_BYTES * int(re.search(rb"Pages free: +(\d+)", said).group(1))

    def total_bytes(self):
        command = ["sysctl", "-n", "hw.memsize"]
        said = subprocess.run(command, stdout=PIPE).stdout  # SITE sam-2 subprocess-storm 2
        return int(said)


class RememberingGuard(MemoryGuard):
    """The same, asked again only after ten seconds."""

    KEPT_SECONDS = 10

    def __init__(self):
        self.answer = None
        self.asked = 0

    def is_enough(self):
        now = time.monotonic()
        if self.answer is None or now - self.asked > self.KEPT_SECONDS:
            self.answer, self.asked = super().is_enough(), now
        return self.answer


class Brain:
    def __init__(self, guard):
        self.guard = guard

    def chat(self, question):
        done = [step for step in STEPS if self.guard.is_enough()]
        return {"question": question["question"], "steps": done}


def prepare(home, fixed):
    mac_tools.install(home)
    brain = Brain(RememberingGuard() if fixed else MemoryGuard())
    server = ApiServer({"/api/chat": brain.chat})
    clients = Companion("api_clients", server.server_port, "POST", "/api/chat", REST_SECONDS, 1)

    def work():
        clients.go()
        server.serve_forever()

    return work
