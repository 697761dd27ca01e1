"""A local model service with the interface of Ollama. Its answers are short, its manners real.

usage: model_service THINKING_SECONDS BUSY_SECONDS IDLE_SECONDS

`generate` takes THINKING_SECONDS. With BUSY_SECONDS the service works for somebody else for so
long, then rests for IDLE_SECONDS, and so on; who asks meanwhile waits for the rest. `ps` always
answers at once, and says "busy" also when it is going to be within the next second.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import lifeline

FORESIGHT_SECONDS = 1


class Schedule:
    """When the service works for others."""

    def __init__(self, busy, idle):
        self.busy = busy
        self.period = busy + idle
        self.began = time.monotonic()

    def busy_for(self, ahead=0):
        """How long it is busy from now on, or in `ahead` seconds."""
        if not self.busy:
            return 0
        into = (time.monotonic() - self.began + ahead) % self.period
        return max(0, self.busy - into)


class ModelHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body go in two segments; the second must not wait for the first one's ACK.
    disable_nagle_algorithm = True

    def do_GET(self):
        schedule = self.server.schedule
        busy = schedule.busy_for() > 0 or schedule.busy_for(FORESIGHT_SECONDS) > 0
        self.answer({"models": ["llama3.2"], "busy": busy})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.schedule.busy_for())
        if self.path == "/api/generate":
            time.sleep(self.server.thinking)
            self.answer({"response": "Two meetings, then rain."})
        else:
            self.answer({"embedding": [0.1, 0.2, 0.3]})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


class ModelService(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True

    def __init__(self, thinking, schedule):
        super().__init__(("127.0.0.1", 0), ModelHandler)
        self.thinking = thinking
        self.schedule = schedule


def main(thinking, busy, idle):
    with ModelService(thinking, Schedule(busy, idle)) as service:
        lifeline.announce(port=service.server_port)
        lifeline.hold()
        service.serve_forever()


if __name__ == "__main__":
    main(*(float(argument) for argument in sys.argv[1:4]))
