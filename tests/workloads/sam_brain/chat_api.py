"""sam-4: the API has one thread, and that waits for the model while everybody else waits for it.

One user chats; three ask for the status twice a second. An answer of the model takes 2.5 s.

Remedy: `ThreadingHTTPServer`. The model takes as long as before, but only who asked it waits.
"""

import json
from urllib.request import urlopen

from . import ollama
from .api import ApiServer, ThreadedApiServer
from .companion import Companion

THINKING_SECONDS = 2.5
MODEL_TIMEOUT_SECONDS = 60
REST_SECONDS = 0.5


class Brain:
    def __init__(self, model_port):
        self.model_port = model_port
        self.answered = 0

    def chat(self, question):
        prompt = ollama.post(self.model_port, "generate", prompt=question["question"])
        reply = urlopen(prompt, timeout=MODEL_TIMEOUT_SECONDS)  # SITE sam-4 serial-server
        with reply:
            self.answered += 1
            return {"answer": json.loads(reply.read())["response"]}

    def status(self, _):
        return {"answered": self.answered}


def prepare(_, fixed):
    model = Companion("model_service", THINKING_SECONDS, 0, 0)
    brain = Brain(model.found["port"])
    routes = {"/api/chat": brain.chat, "/api/status": brain.status}
    server = ThreadedApiServer(routes) if fixed else ApiServer(routes)
    chatting = ("POST", "/api/chat", REST_SECONDS, 1)
    watching = ("GET", "/api/status", REST_SECONDS, 3)
    clients = Companion("api_clients", server.server_port, *(chatting + watching))

    def work():
        clients.go()
        server.serve_forever()

    return work
