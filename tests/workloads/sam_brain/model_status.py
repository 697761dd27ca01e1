"""sam-3: each status request asks with a subprocess whether the model is installed.

The menu bar asks five times a second.

Remedy: the answer is kept for half a minute.
"""

import subprocess
import time
from subprocess import PIPE

from . import mac_tools
from .api import ApiServer
from .companion import Companion

MODEL = b"llama3.2"
REST_SECONDS = 0.2


class ModelAvailability:
    def is_available(self):
        command = ["ollama", "list"]
        listed = subprocess.run(command, stdout=PIPE)  # SITE sam-3 subprocess-storm
        return MODEL in listed.stdout

    def status(self, _):
        return {"model": MODEL.decode(), "available": self.is_available()}


class RememberedAvailability(ModelAvailability):
    """Models are not installed twice a minute."""

    KEPT_SECONDS = 30

    def __init__(self):
        self.answer = None
        self.asked = 0

    def is_available(self):
        now = time.monotonic()
        if self.answer is None or now - self.asked > self.KEPT_SECONDS:
            self.answer, self.asked = super().is_available(), now
        return self.answer


def prepare(home, fixed):
    mac_tools.install(home)
    availability = RememberedAvailability() if fixed else ModelAvailability()
    server = ApiServer({"/api/status": availability.status})
    menu_bar = Companion("api_clients", server.server_port, "GET", "/api/status", REST_SECONDS, 1)

    def work():
        menu_bar.go()
        server.serve_forever()

    return work
